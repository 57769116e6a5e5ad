"""LeNet-5, in the form it is trained in today."""

from torch import Tensor, nn

from cnnpipe.models.initialisation import start_he, start_xavier
from cnnpipe.models.shape import NetworkShape
from cnnpipe.models.sizes import side_through
from cnnpipe.params.windows import Window


class LeNet5(nn.Module):
    """LeNet-5: two convolutions with pooling (C1 S2 C3 S4), then C5, F6 and the output.

    The filters are the paper's. Three parts are today's: ReLU for tanh, max pooling for trainable
    averages, and every C3 filter sees all six maps. C5 spans whatever side S4 leaves, so any input of
    16 px or more fits. With 1 channel, 32 px and 10 classes it has 61,706 parameters.

    Source: LeCun et al. 1998, Gradient-based learning applied to document recognition, section II.B.
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(shape.channels, 6, kernel_size=5)
        self.c3 = nn.Conv2d(6, 16, kernel_size=5)
        self.c5 = nn.Linear(16 * side_after_s4(shape.side_px) ** 2, 120)
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, shape.num_classes)
        self.pool = nn.MaxPool2d(kernel_size=2)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(shape.dropout)
        for layer in (self.c1, self.c3, self.c5, self.f6):
            start_he(layer)
        start_xavier(self.output)

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        """Return logits, B x num_classes, of normalised pictures."""
        s2 = self.pool(self.relu(self.c1(pictures_BCHW)))
        s4 = self.pool(self.relu(self.c3(s2)))
        c5 = self.relu(self.c5(self.dropout(s4.flatten(1))))
        f6 = self.relu(self.f6(self.dropout(c5)))
        logits: Tensor = self.output(self.dropout(f6))
        return logits


def side_after_s4(side_px: int) -> int:
    """Return the side of the maps that C5 sees: 5 of 32 px, 4 of 28 px, 9 of 48 px.

    Raises:
        ParamsError: the input is too small.
    """
    return side_through(side_px, 2 * (Window(kernel=5), Window(kernel=2, stride=2)), network="lenet")
