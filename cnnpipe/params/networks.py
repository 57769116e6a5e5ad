"""The networks that can be chosen by name, and what can be known of them without building one."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from cnnpipe.params.network_options import NetworkOptions

TIMM_PREFIX: Final = "timm/"  # any classifier of timm by its name there

Family = Literal["plain", "lenet", "cnn", "alexnet", "vgg", "inception", "resnet", "mobilenet", "transformer"]
OptionName = Literal["activation", "start", "auxiliary_weight", "widths", "hidden", "axes", "layers"]


class NetworkFacts(NamedTuple):
    """What is known of a classifier.

    Numbers are those of its source's input and classes; None where these are for you to say.
    Floating-point operations are those of one picture in evaluation, as torch.utils.flop_counter counts them:
    two for each multiply-add of convolutions and matrix products, nothing for the rest.
    """

    family: Family  # its page is docs/networks/<family>.md
    title: str
    origin: Literal["cnnpipe", "torchvision", "timm"]  # whose code it is
    year: int | None
    source: str
    channels: int | None  # of the source's input
    side_px: int | None  # the same
    smallest_side_px: int  # below it a layer does not fit, or too many maps are of one pixel
    num_classes: int | None  # of the source
    num_parameters: int | None  # that learn, with auxiliary classifiers
    flops: int | None
    head: tuple[str, ...]  # how the names of its head's tensors begin; empty: too small to have parts
    options: tuple[OptionName, ...]  # that it takes
    weights: tuple[str, ...] = ("none",)  # at hand without a file, a run or a hub
    auxiliary_weight: float | None = None  # of each auxiliary loss, where the option is left out
    side_multiple_px: int = 1  # the side of its input is a multiple of it


_START: Final[tuple[OptionName, ...]] = ("start",)
_PLAIN: Final[tuple[OptionName, ...]] = ("activation", "start")  # its activations are plain, and modules
_WITH_AUXILIARIES: Final[tuple[OptionName, ...]] = ("start", "auxiliary_weight")
_VGG: Final = "Simonyan and Zisserman 2015"
_GOOGLENET: Final = "Szegedy et al. 2015"
_RESNET: Final = "He et al. 2016"
_SENET: Final = "Hu et al. 2018"
_MOBILENET_V3: Final = "Howard et al. 2019"
_LITE: Final = "Tan and Le 2019; Liu 2020"
_COATNET: Final = "Dai et al. 2021; timm"

# The builders are in models/networks; the facts are here, so that params are checked without importing torch.
# Sources of auxiliary weights: Szegedy et al. 2015, section 5; TF-Slim, train_image_classifier.py.
# fmt: off
NETWORK_FACTS: Final[Mapping[str, NetworkFacts]] = MappingProxyType(
    {
        "perceptron": NetworkFacts(
            "plain", "Perceptron", "cnnpipe", 1958, "Rosenblatt 1958; LeCun et al. 1998",
            channels=1, side_px=28, smallest_side_px=8, num_classes=10,
            num_parameters=7_850, flops=15_680,
            head=(), options=_START,
        ),
        "mlp": NetworkFacts(
            "plain", "Multilayer perceptron", "cnnpipe", 1986, "Rumelhart et al. 1986; LeCun et al. 1998",
            channels=1, side_px=28, smallest_side_px=8, num_classes=10,
            num_parameters=266_610, flops=532_400,
            head=(), options=(*_PLAIN, "hidden"),
        ),
        "lenet": NetworkFacts(
            "lenet", "LeNet-5", "cnnpipe", 1998, "LeCun et al. 1998",
            channels=1, side_px=32, smallest_side_px=16, num_classes=10,
            num_parameters=61_706, flops=833_040,
            head=(), options=_PLAIN,
        ),
        "cnn": NetworkFacts(
            "cnn", "Layers of params.yaml", "cnnpipe", None, "yours",
            channels=None, side_px=None, smallest_side_px=8, num_classes=None,
            num_parameters=None, flops=None,
            head=("output.",), options=(*_PLAIN, "axes", "layers"),
        ),
        "alexnet2012": NetworkFacts(
            "alexnet", "AlexNet, two towers", "cnnpipe", 2012, "Krizhevsky et al. 2012",
            channels=3, side_px=224, smallest_side_px=63, num_classes=1000,
            num_parameters=60_965_224, flops=1_448_813_632,
            head=("classifier.",), options=_PLAIN,
        ),
        "alexnet": NetworkFacts(
            "alexnet", "AlexNet, one tower", "torchvision", 2014, "Krizhevsky 2014",
            channels=3, side_px=224, smallest_side_px=63, num_classes=1000,
            num_parameters=61_100_840, flops=1_428_376_960,
            head=("classifier.",), options=_PLAIN,
        ),
        "zfnet": NetworkFacts(
            "alexnet", "ZFNet", "cnnpipe", 2014, "Zeiler and Fergus 2014",
            channels=3, side_px=224, smallest_side_px=53, num_classes=1000,
            num_parameters=107_627_624, flops=4_953_409_792,
            head=("classifier.",), options=(*_PLAIN, "widths"),
        ),
        "vgg11": NetworkFacts(
            "vgg", "VGG-11", "torchvision", 2015, _VGG,
            channels=3, side_px=224, smallest_side_px=32, num_classes=1000,
            num_parameters=132_863_336, flops=15_218_180_096,
            head=("classifier.",), options=_PLAIN,
        ),
        "vgg13": NetworkFacts(
            "vgg", "VGG-13", "torchvision", 2015, _VGG,
            channels=3, side_px=224, smallest_side_px=32, num_classes=1000,
            num_parameters=133_047_848, flops=22_616_932_352,
            head=("classifier.",), options=_PLAIN,
        ),
        "vgg16": NetworkFacts(
            "vgg", "VGG-16", "torchvision", 2015, _VGG,
            channels=3, side_px=224, smallest_side_px=32, num_classes=1000,
            num_parameters=138_357_544, flops=30_940_528_640,
            head=("classifier.",), options=_PLAIN,
        ),
        "vgg19": NetworkFacts(
            "vgg", "VGG-19", "torchvision", 2015, _VGG,
            channels=3, side_px=224, smallest_side_px=32, num_classes=1000,
            num_parameters=143_667_240, flops=39_264_124_928,
            head=("classifier.",), options=_PLAIN,
        ),
        "vgg11_bn": NetworkFacts(
            "vgg", "VGG-11 with batch norm", "torchvision", 2015, _VGG,
            channels=3, side_px=224, smallest_side_px=32, num_classes=1000,
            num_parameters=132_868_840, flops=15_218_180_096,
            head=("classifier.",), options=_PLAIN,
        ),
        "vgg13_bn": NetworkFacts(
            "vgg", "VGG-13 with batch norm", "torchvision", 2015, _VGG,
            channels=3, side_px=224, smallest_side_px=32, num_classes=1000,
            num_parameters=133_053_736, flops=22_616_932_352,
            head=("classifier.",), options=_PLAIN,
        ),
        "vgg16_bn": NetworkFacts(
            "vgg", "VGG-16 with batch norm", "torchvision", 2015, _VGG,
            channels=3, side_px=224, smallest_side_px=32, num_classes=1000,
            num_parameters=138_365_992, flops=30_940_528_640,
            head=("classifier.",), options=_PLAIN,
        ),
        "vgg19_bn": NetworkFacts(
            "vgg", "VGG-19 with batch norm", "torchvision", 2015, _VGG,
            channels=3, side_px=224, smallest_side_px=32, num_classes=1000,
            num_parameters=143_678_248, flops=39_264_124_928,
            head=("classifier.",), options=_PLAIN,
        ),
        "googlenet": NetworkFacts(
            "inception", "GoogLeNet", "torchvision", 2015, _GOOGLENET,
            channels=3, side_px=224, smallest_side_px=16, num_classes=1000,
            num_parameters=13_004_888, flops=2_996_752_384,
            head=("fc.", "aux1.", "aux2."), options=_WITH_AUXILIARIES, auxiliary_weight=0.3,
        ),
        "googlenet_naive": NetworkFacts(
            "inception", "GoogLeNet without 1x1 reductions", "cnnpipe", 2015, _GOOGLENET,
            channels=3, side_px=224, smallest_side_px=16, num_classes=1000,
            num_parameters=97_531_080, flops=25_136_122_112,
            head=("fc.",), options=_PLAIN,
        ),
        "inception_v2": NetworkFacts(
            "inception", "Inception v2 (BN-Inception)", "cnnpipe", 2015, "Ioffe and Szegedy 2015",
            channels=3, side_px=224, smallest_side_px=16, num_classes=1000,
            num_parameters=11_188_288, flops=3_869_714_432,
            head=("fc.",), options=_PLAIN,
        ),
        "inception_v3": NetworkFacts(
            "inception", "Inception v3", "torchvision", 2016, "Szegedy et al. 2016",
            channels=3, side_px=299, smallest_side_px=75, num_classes=1000,
            num_parameters=27_161_264, flops=11_426_432_192,
            head=("fc.", "AuxLogits."), options=_WITH_AUXILIARIES, auxiliary_weight=0.4,
        ),
        "resnet18": NetworkFacts(
            "resnet", "ResNet-18", "torchvision", 2016, _RESNET,
            channels=3, side_px=224, smallest_side_px=16, num_classes=1000,
            num_parameters=11_689_512, flops=3_628_146_688,
            head=("fc.",), options=_PLAIN,
        ),
        "resnet34": NetworkFacts(
            "resnet", "ResNet-34", "torchvision", 2016, _RESNET,
            channels=3, side_px=224, smallest_side_px=32, num_classes=1000,
            num_parameters=21_797_672, flops=7_327_522_816,
            head=("fc.",), options=_PLAIN,
        ),
        "resnet50": NetworkFacts(
            "resnet", "ResNet-50", "torchvision", 2016, _RESNET,
            channels=3, side_px=224, smallest_side_px=32, num_classes=1000,
            num_parameters=25_557_032, flops=8_178_368_512,
            head=("fc.",), options=_PLAIN,
        ),
        "resnet101": NetworkFacts(
            "resnet", "ResNet-101", "torchvision", 2016, _RESNET,
            channels=3, side_px=224, smallest_side_px=32, num_classes=1000,
            num_parameters=44_549_160, flops=15_602_810_880,
            head=("fc.",), options=_PLAIN,
        ),
        "resnet152": NetworkFacts(
            "resnet", "ResNet-152", "torchvision", 2016, _RESNET,
            channels=3, side_px=224, smallest_side_px=32, num_classes=1000,
            num_parameters=60_192_808, flops=23_027_253_248,
            head=("fc.",), options=_PLAIN,
        ),
        "se_resnet18": NetworkFacts(
            "resnet", "SE-ResNet-18", "timm", 2018, _SENET,
            channels=3, side_px=224, smallest_side_px=16, num_classes=1000,
            num_parameters=11_779_624, flops=3_628_322_816,
            head=("fc.",), options=_PLAIN,
        ),
        "se_resnet50": NetworkFacts(
            "resnet", "SE-ResNet-50", "timm", 2018, _SENET,
            channels=3, side_px=224, smallest_side_px=32, num_classes=1000,
            num_parameters=28_088_024, flops=8_183_398_400,
            head=("fc.",), options=_PLAIN,
        ),
        "senet154": NetworkFacts(
            "resnet", "SENet-154", "timm", 2018, _SENET,
            channels=3, side_px=224, smallest_side_px=32, num_classes=1000,
            num_parameters=115_088_984, flops=41_376_727_040,
            head=("fc.",), options=_PLAIN,
        ),
        "mobilenet_v1": NetworkFacts(
            "mobilenet", "MobileNet v1", "timm", 2017, "Howard et al. 2017",
            channels=3, side_px=224, smallest_side_px=16, num_classes=1000,
            num_parameters=4_231_976, flops=1_137_480_704,
            head=("classifier.",), options=_START,
        ),
        "mobilenet_v2": NetworkFacts(
            "mobilenet", "MobileNet v2", "torchvision", 2018, "Sandler et al. 2018",
            channels=3, side_px=224, smallest_side_px=16, num_classes=1000,
            num_parameters=3_504_872, flops=601_548_544,
            head=("classifier.",), options=_START,
        ),
        "mobilenet_v3_small": NetworkFacts(
            "mobilenet", "MobileNet v3, small", "torchvision", 2019, _MOBILENET_V3,
            channels=3, side_px=224, smallest_side_px=16, num_classes=1000,
            num_parameters=2_542_856, flops=113_020_800,
            head=("classifier.3.",), options=_START,
        ),
        "mobilenet_v3_large": NetworkFacts(
            "mobilenet", "MobileNet v3, large", "torchvision", 2019, _MOBILENET_V3,
            channels=3, side_px=224, smallest_side_px=16, num_classes=1000,
            num_parameters=5_483_032, flops=433_179_520,
            head=("classifier.3.",), options=_START,
        ),
        "lite0": NetworkFacts(
            "mobilenet", "EfficientNet-Lite0", "timm", 2020, _LITE,
            channels=3, side_px=224, smallest_side_px=16, num_classes=1000,
            num_parameters=4_652_008, flops=770_375_104,
            head=("classifier.",), options=_START, weights=("none", "package"),
        ),
        "lite1": NetworkFacts(
            "mobilenet", "EfficientNet-Lite1", "timm", 2020, _LITE,
            channels=3, side_px=240, smallest_side_px=16, num_classes=1000,
            num_parameters=5_416_680, flops=1_200_370_464,
            head=("classifier.",), options=_START,
        ),
        "lite2": NetworkFacts(
            "mobilenet", "EfficientNet-Lite2", "timm", 2020, _LITE,
            channels=3, side_px=260, smallest_side_px=16, num_classes=1000,
            num_parameters=6_092_072, flops=1_719_472_544,
            head=("classifier.",), options=_START,
        ),
        "lite3": NetworkFacts(
            "mobilenet", "EfficientNet-Lite3", "timm", 2020, _LITE,
            channels=3, side_px=300, smallest_side_px=16, num_classes=1000,
            num_parameters=8_197_096, flops=3_215_109_088,
            head=("classifier.",), options=_START,
        ),
        "lite4": NetworkFacts(
            "mobilenet", "EfficientNet-Lite4", "timm", 2020, _LITE,
            channels=3, side_px=380, smallest_side_px=16, num_classes=1000,
            num_parameters=13_006_568, flops=7_887_128_224,
            head=("classifier.",), options=_START,
        ),
        "coatnet_nano": NetworkFacts(
            "transformer", "CoAtNet, nano", "timm", 2021, _COATNET,
            channels=3, side_px=224, smallest_side_px=32, num_classes=1000,
            num_parameters=15_141_244, flops=4_765_430_784,
            head=("head.fc.",), options=_START, side_multiple_px=32,
        ),
        "coatnet_0": NetworkFacts(
            "transformer", "CoAtNet-0", "timm", 2021, _COATNET,
            channels=3, side_px=224, smallest_side_px=32, num_classes=1000,
            num_parameters=25_036_820, flops=9_093_015_552,
            head=("head.fc.",), options=_START, side_multiple_px=32,
        ),
        "convnext_tiny": NetworkFacts(
            "transformer", "ConvNeXt-T", "timm", 2022, "Liu et al. 2022",
            channels=3, side_px=224, smallest_side_px=32, num_classes=1000,
            num_parameters=28_589_128, flops=8_911_062_528,
            head=("head.fc.",), options=_START,
        ),
    }
)
# fmt: on

# Network -> where its first weights can come from, by task; each also takes those of a file.
NETWORK_WEIGHTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {name: facts.weights for name, facts in NETWORK_FACTS.items()}
)
DETECTOR_WEIGHTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "fcos-lite0": ("none", "package"),
        "fasterrcnn-lite0": ("none", "package"),
        "fasterrcnn_mobilenet_v3_large_320_fpn": ("none",),
    }
)

# Shallowest first: the layers of each have a place in the next.
# Source: Simonyan and Zisserman 2015, section 3.1.
GROWTHS: Final = (
    ("vgg11", "vgg13", "vgg16", "vgg19"),
    ("vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"),
)

_OF_TIMM: Final[tuple[OptionName, ...]] = _START


def is_of_timm(name: str) -> bool:
    """Say whether a network is asked for by timm's own name for it, timm/<name>."""
    return name.startswith(TIMM_PREFIX)


def option_fault(name: str, options: NetworkOptions) -> str | None:
    """Return whose the options are that the network does not take, or None: "option widths is for zfnet".

    Args:
        name: a known network, or timm/<name>.
        options: as in params.yaml.
    """
    taken = _OF_TIMM if is_of_timm(name) else NETWORK_FACTS[name].options
    faults = [
        f"option {option} is for {', '.join(_takers(option))}"
        for option in options.model_dump(exclude_none=True)
        if option not in taken
    ]
    return "; ".join(faults) or None


def side_fault(name: str, side_px: int) -> str | None:
    """Return what is wrong with an input of side_px pixels for a network of the table, or None."""
    facts = NETWORK_FACTS.get(name)
    if facts is None:
        return None
    if side_px < facts.smallest_side_px:
        return f"an input of {side_px} px is too small for {name}: it needs {facts.smallest_side_px}"
    if side_px % facts.side_multiple_px:
        return (
            f"an input of {side_px} px does not fit {name}: it needs a multiple of {facts.side_multiple_px}"
        )
    return None


def growth_fault(names: tuple[str, ...]) -> str | None:
    """Return why networks cannot grow from each to the next, or None.

    Args:
        names: of networks, shallowest first, the one that is wanted last.
    """
    for grown in GROWTHS:
        places = [grown.index(name) for name in names if name in grown]
        if len(places) == len(names) and places == sorted(set(places)):
            return None
    known = " and ".join(" → ".join(grown) for grown in GROWTHS)
    return f"{' → '.join(names)} is no growth: each is deeper than the one before, as in {known}"


def auxiliary_weight_of(name: str, options: NetworkOptions | None) -> float:
    """Return what each auxiliary classifier's loss counts in training; 0 where the network has none."""
    if options is not None and options.auxiliary_weight is not None:
        return options.auxiliary_weight
    facts = NETWORK_FACTS.get(name)
    return (facts.auxiliary_weight if facts else None) or 0.0


def _takers(option: str) -> list[str]:
    return [name for name, facts in NETWORK_FACTS.items() if option in facts.options]
