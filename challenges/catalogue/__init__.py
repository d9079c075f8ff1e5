"""The 1 GB classifier of the challenge, made locally from a seed: nothing is downloaded.

The features are EfficientNet-Lite0's. The classifier knows a catalogue of 200,000 classes: the
1,000 of ImageNet with their real weights, and 199 made-up variants of each. A variant's weights are
those of its class with seeded noise, and a lower bias, since it is rarer. So photos keep their true
first answer, yet part of the probability lies with the variants: leaving them out is an error.
"""
