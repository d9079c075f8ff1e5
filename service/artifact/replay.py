"""The last check of a start: the golden photos must give the answers that were validated."""

from service.artifact.verify import Bundle
from service.engines.base import Engine, Form
from service.errors import OperatorError, write_command
from service.preprocessing import preprocess


def replay(bundle: Bundle, form: Form, engine: Engine) -> float:
    """Send each golden photo through the model; return the largest difference of a probability.

    Raises:
        OperatorError: a probability differs by more than the manifest allows.
    """
    record = bundle.manifest.forms[form.name]
    largest = 0.0
    for photo, expected in record.golden.items():
        data = (bundle.path / photo).read_bytes()
        pixels = preprocess(data, bundle.manifest.preprocessing)
        (probabilities,) = engine([pixels])
        for class_id, probability in expected.items():
            difference = abs(float(probabilities[class_id]) - probability)
            if not difference <= record.golden_tolerance:  # "not <=": NaN must not pass
                raise OperatorError(
                    f"golden photo {photo}: class {class_id} "
                    f"({bundle.manifest.labels[class_id]}) expected {probability:.6f}, found "
                    f"{probabilities[class_id]:.6f}, tolerance {record.golden_tolerance}. This "
                    "machine does not compute the validated model with this form; choose another "
                    f"(--engine) or validate here: {write_command('service.artifact build')}"
                )
            largest = max(largest, difference)
    return largest
