"""Masks, boxes and several labels beside images: COCO, VOC, YOLO and folders of masks."""

from neocog.annotations.binary_masks import open_class_masks
from neocog.annotations.coco import open_coco
from neocog.annotations.mask_folder import open_mask_folder
from neocog.annotations.voc import open_voc, open_voc_masks
from neocog.annotations.yolo import open_yolo

__all__ = ["open_class_masks", "open_coco", "open_mask_folder", "open_voc", "open_voc_masks", "open_yolo"]
