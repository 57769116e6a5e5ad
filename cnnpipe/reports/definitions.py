"""What each metric means, in the words of the reports. The formulas are those of cnnpipe/evaluation."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec


class Definition(msgspec.Struct, frozen=True):
    """Title, formula and meaning of a metric."""

    title: str
    formula: str
    meaning: str


# of one class against the rest, TP, FP, FN, TN: true and false positives and negatives
OF_A_CLASS: Final[Mapping[str, Definition]] = MappingProxyType(
    {
        "precision": Definition(
            "Precision", "TP / (TP + FP)", "of what was taken for the class, the share that is"
        ),
        "recall": Definition("Recall", "TP / (TP + FN)", "of the class, the share that was found"),
        "f1": Definition("F1", "2 TP / (2 TP + FP + FN)", "harmonic mean of precision and recall"),
        "specificity": Definition(
            "Specificity", "TN / (TN + FP)", "of the other classes, the share left alone"
        ),
        "negative_precision": Definition(
            "Negative precision",
            "TN / (TN + FN)",
            "of what was not taken for the class, the share that is not",
        ),
        "average_precision": Definition(
            "Average precision", "Σ (R(n) − R(n−1)) P(n)", "area under the precision-recall curve, by steps"
        ),
        "average_precision_interpolated": Definition(
            "Interpolated AP",
            "Σ max P(k′ ≥ k) · ΔR(k)",
            "area under the curve's upper envelope, as for detectors",
        ),
        "break_even": Definition(
            "Break-even point", "P = R", "precision where it equals recall: as many predicted as there are"
        ),
        "roc_auc": Definition(
            "ROC AUC",
            "∫ TPR d FPR",
            "how often a sample of the class scores above one of another; chance is 0.5",
        ),
    }
)

OVERALL: Final[Mapping[str, Definition]] = MappingProxyType(
    {
        "accuracy": Definition(
            "Accuracy",
            "right / all",
            "share of samples classified rightly; equals precision, recall and F1 micro",
        ),
        "recall_macro": Definition(
            "Recall, macro", "mean of classes", "balanced accuracy: every class counts the same"
        ),
        "precision_macro": Definition(
            "Precision, macro", "mean of classes", "a class never predicted counts as 0"
        ),
        "f1_macro": Definition("F1, macro", "mean of classes", "every class counts the same"),
        "f1_weighted": Definition(
            "F1, weighted", "Σ samples · F1 / Σ samples", "every sample counts the same"
        ),
        "roc_auc_macro": Definition("ROC AUC, macro", "mean of classes", "each class against the rest"),
        "average_precision_macro": Definition(
            "Average precision, macro", "mean of classes", "mean area under the precision-recall curves"
        ),
        "average_precision_interpolated_macro": Definition(
            "Interpolated AP, macro", "mean of classes", "the same with the upper envelope"
        ),
        "break_even_macro": Definition("Break-even, macro", "mean of classes", "mean of precision = recall"),
        "log_loss": Definition(
            "Log loss", "mean of −ln score(truth)", "cross entropy; 0 is best, smaller is better"
        ),
        "calibration_error": Definition(
            "Calibration error",
            "Σ (n / N) |accuracy − confidence|",
            "how far scores are from the share that is right, over 15 bins of confidence; smaller is better",
        ),
    }
)
