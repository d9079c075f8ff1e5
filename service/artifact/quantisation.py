from pathlib import Path

from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)


class R(CalibrationDataReader):
    def __init__(self, x, n):
        self.it = iter([{n: x[i : i + 1]} for i in range(100)])

    def get_next(self):
        return next(self.it, None)


def quantise(fp32: Path, int8: Path, calibration) -> None:
    import onnx

    n = onnx.load(fp32).graph.input[0].name
    quantize_static(
        fp32,
        int8,
        R(calibration, n),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        weight_type=QuantType.QInt8,
        activation_type=QuantType.QUInt8,
    )
