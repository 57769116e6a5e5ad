"""Section `register`: when a new champion takes the place of the old one."""

from cnnpipe.params.section import NotNegative, Params


class RegisterParams(Params):
    """Section `register`. The seed, samples and confidence of the bootstrap are those of `compare`."""

    margin: NotNegative  # in the unit of the metric: of shares below 1, of errors whatever they are in
