"""Convolutions on crops and their derivatives, tap by tap: each tap of the kernel is a product of matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Reals: TypeAlias = NDArray[Any]
"""Real numbers, in single precision but for tests."""


@dataclass(frozen=True)
class Contraction:
    """A convolution without padding; a fully connected layer is one of a single place.

    Inputs are ``[B, H, W, C]``, weights ``[O, KH, KW, C / groups]``, results ``[B, h, w, O]``.

    Attributes:
        kernel: Height and width.
        strides: Of the kernel.
        dilations: Of its taps.
        groups: Of channels.
    """

    kernel: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1

    def result(self, x: Reals, weights: Reals) -> Reals:
        """Return the sums of products."""
        height, width = self._size(x)
        sums = np.zeros((len(x), height, width, len(weights)), x.dtype)
        rows = self._by_group(sums)
        for row, column, window in self._taps(height, width):
            self._add_products(rows, self._by_group(x[:, *window]), self._tap(weights, row, column))
        return rows.reshape(sums.shape)

    def by_weights(self, x: Reals, by_result: Reals) -> Reals:
        """Return the derivatives with respect to the weights, given those with respect to the result."""
        _, height, width, channels = by_result.shape
        depth = x.shape[3] // self.groups
        found = np.empty((channels, *self.kernel, depth), x.dtype)
        grouped = found.reshape(self.groups, channels // self.groups, *self.kernel, depth)
        errors = self._by_group(by_result)
        for row, column, window in self._taps(height, width):
            seen = self._by_group(x[:, *window])
            if depth == 1:
                # Broadcast products of single numbers are faster than as many products of tiny matrices.
                grouped[:, :, row, column, 0] = np.einsum("pgo,pgd->go", errors, seen)
            else:
                grouped[:, :, row, column] = np.matmul(errors.transpose(1, 2, 0), seen.transpose(1, 0, 2))
        return found

    def by_input(self, by_result: Reals, weights: Reals, shape: tuple[int, ...]) -> Reals:
        """Return the derivatives with respect to an input of that shape, given those with respect to the result."""
        _, height, width, _ = by_result.shape
        found = np.zeros(shape, by_result.dtype)
        errors = self._by_group(by_result)
        for row, column, window in self._taps(height, width):
            part = found[:, *window]
            products = np.zeros((len(errors), self.groups, shape[3] // self.groups), by_result.dtype)
            self._add_products(products, errors, self._tap(weights, row, column).transpose(0, 2, 1))
            part += products.reshape(part.shape)
        return found

    def _size(self, x: Reals) -> tuple[int, int]:
        """Return height and width of the result."""
        reach = [(taps - 1) * dilation for taps, dilation in zip(self.kernel, self.dilations, strict=True)]
        return (x.shape[1] - reach[0] - 1) // self.strides[0] + 1, (x.shape[2] - reach[1] - 1) // self.strides[1] + 1

    def _taps(self, height: int, width: int) -> Iterator[tuple[int, int, tuple[slice, slice]]]:
        """Yield each tap, with the rows and columns of the input that it meets."""
        for row in range(self.kernel[0]):
            for column in range(self.kernel[1]):
                top, left = row * self.dilations[0], column * self.dilations[1]
                rows = slice(top, top + (height - 1) * self.strides[0] + 1, self.strides[0])
                yield row, column, (rows, slice(left, left + (width - 1) * self.strides[1] + 1, self.strides[1]))

    def _by_group(self, array: Reals) -> Reals:
        """Return ``[B, h, w, C]`` as ``[places, groups, channels of a group]``."""
        return array.reshape(-1, self.groups, array.shape[3] // self.groups)

    def _tap(self, weights: Reals, row: int, column: int) -> Reals:
        """Return the weights of one tap, ``[groups, O / groups, C / groups]``."""
        return weights[:, row, column].reshape(self.groups, -1, weights.shape[3])

    @staticmethod
    def _add_products(sums: Reals, rows: Reals, matrices: Reals) -> None:
        """Add rows ``[places, groups, depth]`` times matrices ``[groups, channels, depth]``."""
        if matrices.shape[2] == 1:
            sums += rows * matrices[:, :, 0]
        elif matrices.shape[0] == 1:
            sums[:, 0] += rows[:, 0] @ matrices[0].T
        else:
            sums += np.matmul(rows.transpose(1, 0, 2), matrices.transpose(0, 2, 1)).transpose(1, 0, 2)
