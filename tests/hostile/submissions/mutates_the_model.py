# verdict: width=failed
# message: `model` was changed in place
"""Answers rightly after it has overwritten the weights of the model."""

import torch


def width(model):
    answer = model.cfg.d_model
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(0)
    model.cfg.d_model = 7
    return answer
