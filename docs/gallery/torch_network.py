"""
The atoms of a PyTorch network
==============================

A relu network of width 1000 learns the ten digits in PyTorch, with weight decay; from its weights
alone come the atoms that carry it. They are refit to the network's predictions. Without PyTorch the example says so and ends.
"""

import numpy as np
from sklearn.datasets import load_digits

import meanfield as mf


def trained(X, y):
    """Train with momentum; return output weights, input weights, biases."""
    torch.manual_seed(0)
    hidden, out = torch.nn.Linear(64, 1000), torch.nn.Linear(1000, 10, bias=False)
    net = torch.nn.Sequential(hidden, torch.nn.ReLU(), out)
    optimizer = torch.optim.SGD(net.parameters(), 0.2, momentum=0.9, weight_decay=0.003)
    inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    for _ in range(1500):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(inputs), labels).backward()
        optimizer.step()
    return (t.detach().numpy() for t in (out.weight.T, hidden.weight, hidden.bias))


try:
    import torch
except ImportError:
    print("This example trains with PyTorch, which is not installed: pip install torch.")
else:
    X, y = load_digits(return_X_y=True)
    X = (X - X.mean(axis=0)) / 16
    problem = mf.Problem(X, y, activation="relu", loss="cross-entropy", l2=0.003)
    found = mf.extract_dictionary(tuple(trained(X, y)), problem, normalisation="sum")
    print(found.statement)
    print("Accuracy of the atoms:", np.mean(found.predict(X).argmax(axis=1) == y).round(3))
