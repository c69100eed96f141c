"""Training of the digits network: cross-entropy, Adam, and a learning rate that falls along a cosine."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from network import FloatArray, Parameters, backward, forward, initial_parameters

IntArray = npt.NDArray[np.int64]

# The best of 16 settings in threefold cross-validation inside the training split.
EPOCHS = 80
BATCH = 32
PEAK_LEARNING_RATE = 8e-3
WEIGHT_DECAY = 5e-2
LABEL_SMOOTHING = 0.05


class Adam:
    """Adam with decoupled weight decay (Kingma and Ba 2015; Loshchilov and Hutter 2019)."""

    FIRST_DECAY = 0.9
    SECOND_DECAY = 0.999
    EPSILON = 1e-8

    def __init__(self, parameters: Parameters) -> None:
        self.mean = {name: np.zeros_like(value) for name, value in parameters.items()}
        self.square = {name: np.zeros_like(value) for name, value in parameters.items()}
        self.step_count = 0

    def step(self, parameters: Parameters, gradient: Parameters, learning_rate: float) -> None:
        """Move the parameters, in place, against the gradient."""
        self.step_count += 1
        mean_correction = 1.0 - self.FIRST_DECAY**self.step_count
        square_correction = 1.0 - self.SECOND_DECAY**self.step_count
        for name, value in parameters.items():
            self.mean[name] += (1.0 - self.FIRST_DECAY) * (gradient[name] - self.mean[name])
            self.square[name] += (1.0 - self.SECOND_DECAY) * (gradient[name] ** 2 - self.square[name])
            root = np.sqrt(self.square[name] / square_correction) + self.EPSILON
            value -= learning_rate * (self.mean[name] / mean_correction / root)
            if name.endswith("/weight"):
                value *= 1.0 - learning_rate * WEIGHT_DECAY


def cross_entropy(logits: FloatArray, labels: IntArray) -> tuple[float, FloatArray]:
    """Mean loss over the batch against smoothed labels, and its gradient in the logits."""
    count, classes = logits.shape
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probability = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    wanted = np.full_like(logits, LABEL_SMOOTHING / classes)
    wanted[np.arange(count), labels] += 1.0 - LABEL_SMOOTHING
    loss = -float((wanted * log_probability).sum()) / count
    gradient = (np.exp(log_probability) - wanted) / np.float32(count)
    return loss, gradient


def accuracy(logits: FloatArray, labels: IntArray) -> float:
    """Fraction of the rows whose largest logit is the label's."""
    return float(np.mean(logits.argmax(axis=1) == labels))


def train(images: FloatArray, labels: IntArray, seed: int, report: Callable[[str], None]) -> Parameters:
    """Parameters of the network after training on all `images`, N x 1 x 8 x 8; the same for the same seed."""
    rng = np.random.default_rng(seed)
    parameters = initial_parameters(rng)
    optimizer = Adam(parameters)
    batches = len(images) // BATCH
    for epoch in range(EPOCHS):
        order = rng.permutation(len(images))
        losses: list[float] = []
        for batch in range(batches):
            chosen = order[batch * BATCH : (batch + 1) * BATCH]
            progress = (epoch * batches + batch) / (EPOCHS * batches)
            learning_rate = PEAK_LEARNING_RATE * 0.5 * (1.0 + np.cos(np.pi * progress))
            activations = forward(parameters, images[chosen])
            loss, d_logits = cross_entropy(activations["logits"], labels[chosen])
            optimizer.step(parameters, backward(parameters, activations, d_logits), learning_rate)
            losses.append(loss)
        if (epoch + 1) % 10 == 0:
            report(f"epoch {epoch + 1:3d}  loss {np.mean(losses):.4f}")
    return parameters
