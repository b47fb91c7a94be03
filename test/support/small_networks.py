# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small networks of plain PyTorch, as somebody might bring them; also read as a file by tests."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        means = nn.functional.adaptive_avg_pool2d(inputs, 1)
        scale = torch.sigmoid(self.fc2(torch.relu(self.fc1(means))))
        return inputs * scale


class Bottleneck(nn.Module):
    """1x1, grouped 3x3, a gate, 1x1; added to what went in where that has the same shape."""

    def __init__(
        self, inputs: int, inner: int, outputs: int, groups: int, stride: int = 1
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.gate = Gate(inner, inner // 4)
        self.conv3 = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.adds = inputs == outputs and stride == 1

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        values = torch.relu(self.bn1(self.conv1(inputs)))
        values = nn.functional.relu6(self.bn2(self.conv2(values)))
        values = self.bn3(self.conv3(self.gate(values)))
        return values + inputs if self.adds else values


class Convolutions(nn.Module):
    """A stem, two stages of bottlenecks, a classifier."""

    def __init__(self, classes: int = 5, groups: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.layer1 = nn.Sequential(Bottleneck(8, 16, 8, 16), Bottleneck(8, 16, 8, groups))
        self.layer2 = nn.Sequential(Bottleneck(8, 32, 16, 32, 2), Bottleneck(16, 32, 16, groups))
        self.fc = nn.Linear(16, classes)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        values = self.layer2(self.layer1(self.stem(pictures)))
        return self.fc(values.mean((2, 3)))


class Layer(nn.Module):
    """Attention of heads, then a perceptron; queries, keys and values from one matrix."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 2 * width)
        self.fc2 = nn.Linear(2 * width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        count, length, width = tokens.shape
        parts = self.qkv(self.norm1(tokens))
        parts = parts.reshape(count, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.proj(mixed.transpose(1, 2).reshape(count, length, width))
        return tokens + self.fc2(nn.functional.gelu(self.fc1(self.norm2(tokens))))


class Transformer(nn.Module):
    """A vision transformer for pictures of 32x32."""

    def __init__(self, classes: int = 5, width: int = 24, heads: int = 3) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.cls_token = nn.Parameter(torch.randn(1, 1, width))
        self.pos_embed = nn.Parameter(torch.randn(1, 17, width))
        self.blocks = nn.Sequential(*(Layer(width, heads) for _ in range(3)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(pictures).flatten(2).transpose(1, 2)
        tokens = torch.cat((self.cls_token.expand(len(tokens), -1, -1), tokens), 1)
        return self.head(self.norm(self.blocks(tokens + self.pos_embed))[:, 0])


class Joined(nn.Module):
    """Two branches whose channels are joined, as in DenseNet and Inception."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(3, 8, 3, padding=1)
        self.right = nn.Conv2d(3, 8, 3, padding=1)
        self.after = nn.Conv2d(16, 16, 1)
        self.fc = nn.Linear(16, 5)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        values = torch.cat((self.left(pictures), self.right(pictures)), 1)
        return self.fc(torch.relu(self.after(values)).mean((2, 3)))


class Sorting(nn.Module):
    """Does what no rule is known of."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 1)
        self.odd = Odd()
        self.fc = nn.Linear(8, 5)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.fc(self.odd(self.first(pictures)).mean((2, 3)))


class Odd(nn.Module):
    """Sorts."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.sort(1)[0]


def network() -> nn.Module:
    """Return the convolutions, as `dynamic-dnn make-dynamic FILE.py:network` calls it."""
    torch.manual_seed(0)
    return Convolutions(classes=3)


def randomised(module: Any) -> Any:
    """Return a module whose batch-norm layers differ from their start."""
    torch.manual_seed(1)
    for each in module.modules():
        if isinstance(each, nn.BatchNorm2d):
            nn.init.normal_(each.weight, 1.0, 0.2)
            nn.init.normal_(each.bias, 0.0, 0.2)
            nn.init.normal_(each.running_mean, 0.0, 0.2)
            nn.init.uniform_(each.running_var, 0.5, 1.5)
    return module
