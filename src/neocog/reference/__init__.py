"""The mathematics of convolutional networks written out in NumPy, to be read and to be trusted.

Every operator comes with its formula and the derivation of its gradient, computes in float64, and agrees with torch;
together they are enough to train a LeNet without autograd. The rest of Neocog uses torch, which is faster; this package
says what it computes.
"""

from neocog.reference.activations import (
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    tanh,
    tanh_backward,
)
from neocog.reference.apply_filter import BORDERS, apply_filter, grey, shown
from neocog.reference.average_pooling import avg_pool, avg_pool_backward, global_avg_pool, global_avg_pool_backward
from neocog.reference.axes import Array, Geometry, conv_geometry
from neocog.reference.batch_norm import RunningStatistics, batch_norm, batch_norm_backward
from neocog.reference.continuous import convolve_functions
from neocog.reference.cross_correlation import METHODS, convolve, cross_correlate, rotate
from neocog.reference.dropout import dropout, dropout_backward
from neocog.reference.filters import FILTERS, Filter, find_filter, kernel
from neocog.reference.gradients import (
    cross_correlate_backward,
    input_gradient,
    weight_gradient,
    weight_gradient_by_convolution,
)
from neocog.reference.im2col import col2im, im2col
from neocog.reference.linear import linear, linear_backward
from neocog.reference.losses import (
    binary_cross_entropy,
    cross_entropy,
    entropy,
    kl_divergence,
    one_hot,
    softmax_cross_entropy,
)
from neocog.reference.lp_pooling import lp_pool, lp_pool_backward
from neocog.reference.max_pooling import global_max_pool, max_pool, max_pool_backward
from neocog.reference.network import Network, lenet
from neocog.reference.network_layers import Convolution, Flatten, Layer, Linear, MaxPool, ReLU
from neocog.reference.response_norm import local_response_norm, local_response_norm_backward
from neocog.reference.softmax import log_softmax, log_softmax_backward, softmax, softmax_backward
from neocog.reference.toeplitz import circulant, toeplitz
from neocog.reference.train_network import train_network
from neocog.reference.transposed import conv_transpose, conv_transpose_backward
from neocog.reference.unpooling import unpool, unpool_backward
from neocog.reference.updates import SGD, Adam, Momentum, adam, momentum, sgd
from neocog.reference.weighted_pooling import distance_weights, weighted_pool, weighted_pool_backward
from neocog.reference.winograd import winograd_matrices

__all__ = [
    "BORDERS",
    "FILTERS",
    "METHODS",
    "SGD",
    "Adam",
    "Array",
    "Convolution",
    "Filter",
    "Flatten",
    "Geometry",
    "Layer",
    "Linear",
    "MaxPool",
    "Momentum",
    "Network",
    "ReLU",
    "RunningStatistics",
    "adam",
    "apply_filter",
    "avg_pool",
    "avg_pool_backward",
    "batch_norm",
    "batch_norm_backward",
    "binary_cross_entropy",
    "circulant",
    "col2im",
    "conv_geometry",
    "conv_transpose",
    "conv_transpose_backward",
    "convolve",
    "convolve_functions",
    "cross_correlate",
    "cross_correlate_backward",
    "cross_entropy",
    "distance_weights",
    "dropout",
    "dropout_backward",
    "entropy",
    "find_filter",
    "global_avg_pool",
    "global_avg_pool_backward",
    "global_max_pool",
    "grey",
    "im2col",
    "input_gradient",
    "kernel",
    "kl_divergence",
    "leaky_relu",
    "leaky_relu_backward",
    "lenet",
    "linear",
    "linear_backward",
    "local_response_norm",
    "local_response_norm_backward",
    "log_softmax",
    "log_softmax_backward",
    "lp_pool",
    "lp_pool_backward",
    "max_pool",
    "max_pool_backward",
    "momentum",
    "one_hot",
    "relu",
    "relu_backward",
    "rotate",
    "sgd",
    "shown",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "softmax_cross_entropy",
    "tanh",
    "tanh_backward",
    "toeplitz",
    "train_network",
    "unpool",
    "unpool_backward",
    "weight_gradient",
    "weight_gradient_by_convolution",
    "weighted_pool",
    "weighted_pool_backward",
    "winograd_matrices",
]
