"""Masks, boxes and several labels beside images: COCO, VOC, YOLO and folders of masks."""
