"""Makes the artifact from the research model. So far it is a copy: the weights and the labels.

python build_artifact.py --model ../../artifacts/catalogue-model --output artifact
"""

import argparse
import shutil
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--model", type=Path, required=True)
parser.add_argument("--output", type=Path, required=True)
options = parser.parse_args()
options.output.mkdir(parents=True, exist_ok=True)
for name in ("weights.safetensors", "labels.txt"):
    shutil.copyfile(options.model / name, options.output / name)
