"""What each metric of a detector means, in the words of the reports."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from cnnpipe.reports.definitions import Definition

# TP: a detection that finds an object at an IoU of 0.5; FP: one that does not; FN: an object that none finds
DETECT_OF_A_CLASS: Final[Mapping[str, Definition]] = MappingProxyType(
    {
        "ap_50": Definition(
            "AP 50",
            "mean of max P(recall ≥ r), r = 0, 0.01, …, 1",
            "average precision at an IoU of 0.5, as COCO takes it",
        ),
        "ap_50_95": Definition(
            "AP 50:95", "mean over IoU 0.5, 0.55, …, 0.95", "the same, which rewards boxes that fit tightly"
        ),
        "ap_50_all_points": Definition(
            "AP 50, all points",
            "Σ max P(k′ ≥ k) · ΔR(k)",
            "area under the upper envelope of the curve, as PASCAL VOC takes it since 2010",
        ),
        "ap_50_11_points": Definition(
            "AP 50, 11 points",
            "mean of max P(recall ≥ r), r = 0, 0.1, …, 1",
            "as PASCAL VOC took it until 2007",
        ),
        "precision": Definition(
            "Precision",
            "TP / (TP + FP)",
            "of the boxes reported for the class, the share that finds an object",
        ),
        "recall": Definition(
            "Recall", "TP / (TP + FN)", "of the objects of the class, the share that is found"
        ),
        "f1": Definition("F1", "2 TP / (2 TP + FP + FN)", "harmonic mean of precision and recall"),
        "break_even": Definition(
            "Break-even point",
            "P = R",
            "precision where it equals recall: as many boxes as there are objects",
        ),
        "presence_roc_auc": Definition(
            "Presence ROC AUC",
            "∫ TPR d FPR",
            "how often a picture with the class has a higher best score of it than one without",
        ),
    }
)

DETECT_OVERALL: Final[Mapping[str, Definition]] = MappingProxyType(
    {
        "map_50": Definition("mAP 50", "mean of classes", "mean AP at an IoU of 0.5: are the objects found"),
        "map_50_95": Definition(
            "mAP 50:95", "mean of classes and of IoU 0.5, 0.55, …, 0.95", "and how well the boxes fit them"
        ),
        "map_75": Definition("mAP 75", "mean of classes", "mean AP at an IoU of 0.75"),
        "map_50_all_points": Definition(
            "mAP 50, all points", "mean of classes", "as PASCAL VOC takes it since 2010"
        ),
        "map_50_11_points": Definition(
            "mAP 50, 11 points", "mean of classes", "as PASCAL VOC took it until 2007"
        ),
        "recall_macro": Definition(
            "Recall, macro",
            "mean of classes",
            "at the thresholds of the classes; every class counts the same",
        ),
        "precision_macro": Definition(
            "Precision, macro", "mean of classes", "at the thresholds; a class never reported counts as 0"
        ),
        "f1_macro": Definition("F1, macro", "mean of classes", "at the thresholds"),
        "recall_micro": Definition(
            "Recall, micro", "Σ TP / Σ (TP + FN)", "at the thresholds; every object counts the same"
        ),
        "precision_micro": Definition(
            "Precision, micro", "Σ TP / Σ (TP + FP)", "at the thresholds; every box counts the same"
        ),
        "f1_micro": Definition("F1, micro", "2 Σ TP / Σ (2 TP + FP + FN)", "at the thresholds"),
        "ar_1": Definition(
            "AR 1", "mean of classes and IoU", "recall when each picture may have one box a class"
        ),
        "ar_10": Definition("AR 10", "mean of classes and IoU", "recall with ten boxes a class"),
        "ar_100": Definition("AR 100", "mean of classes and IoU", "recall with a hundred boxes a class"),
        "break_even_macro": Definition("Break-even, macro", "mean of classes", "mean of precision = recall"),
        "presence_roc_auc_macro": Definition(
            "Presence ROC AUC, macro", "mean of classes", "does a picture show the class at all"
        ),
    }
)

# of objects whose box has an area below 32², between, above 96² pixels of the picture as it was annotated
SIZES: Final[Mapping[str, str]] = MappingProxyType(
    {"small": "below 32² px", "medium": "32² to 96² px", "large": "above 96² px"}
)
