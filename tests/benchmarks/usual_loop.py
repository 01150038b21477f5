"""The usual PyTorch transfer-learning loop, as a script: what a fit is compared with.

FOLDER BACKBONE WEIGHTS EPOCHS; prints the last valid log loss as JSON.
"""

from __future__ import annotations

import json
import sys

import torch
import torchvision
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder


def main(folder: str, backbone: str, weights: str, epochs: int) -> dict[str, float]:
    torch.manual_seed(0)
    transform = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    train = ImageFolder(f"{folder}/train", transform)
    valid = ImageFolder(f"{folder}/valid", transform)
    train_loader = DataLoader(train, batch_size=64, shuffle=True, num_workers=2)
    valid_loader = DataLoader(valid, batch_size=64, num_workers=2)

    model = torchvision.models.get_model(backbone)
    model.load_state_dict(load_file(weights))
    for parameter in model.parameters():
        parameter.requires_grad = False
    head = new_last_layer(model, len(train.classes))
    model.eval()  # the frozen body keeps its batch statistics
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)

    valid_loss = float("nan")
    for epoch in range(1, epochs + 1):
        head.train()
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
        head.eval()
        total = 0.0
        with torch.no_grad():
            for images, labels in valid_loader:
                total += criterion(model(images), labels).item() * len(labels)
        valid_loss = total / len(valid)
        print(f"epoch {epoch}: valid log loss {valid_loss:.4f}", file=sys.stderr)
    return {"log_loss": valid_loss}


def new_last_layer(model: nn.Module, n_classes: int) -> nn.Linear:
    """Replace the last layer of a ResNet or a MobileNetV2 and return the new one."""
    if isinstance(model, torchvision.models.ResNet):
        model.fc = nn.Linear(model.fc.in_features, n_classes)
        return model.fc
    model.classifier[1] = nn.Linear(model.classifier[1].in_features, n_classes)
    return model.classifier[1]


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:4], int(sys.argv[4]))))
