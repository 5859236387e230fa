# %% [markdown]
# # 3. Style: Gram matrices by hand
#
# Style is what stays when one forgets *where* things are. Keep only which channels fire together
# (Gatys, Ecker and Bethge 2015 for textures, 2016, eq. 3 for style). With $F$ the features of a
# layer, a channel in each row, and $M$ positions,
#
# $$G = \frac{1}{M} F F^\top, \qquad G_{ij} = \frac{1}{M} \sum_p F_{ip} F_{jp}.$$

# %%
import os

import torch

import impasto
from impasto import GramLoss
from impasto.losses.gram import gram
from impasto.outputs.contact_sheet import heat, stretched

SIZE = int(os.environ.get("SIZE", "128"))
STEPS = tuple(int(n) for n in os.environ.get("STEPS", "40,40,30").split(","))
encoder = impasto.get_encoder(os.environ.get("ENCODER", "mini"))
waves, mosaic = (impasto.swatch(name, size=SIZE) for name in ("waves", "mosaic"))
impasto.compare(waves, mosaic, labels=["waves", "mosaic"])

# %% [markdown]
# ## By hand
#
# [impasto/losses/gram.py](../../impasto/losses/gram.py)
#
# ```py
# return gram_sum(features, weight) / (count(features, weight) + EPSILON)
# ```
#
# where `gram_sum` is `F @ F.T`.

# %%
with torch.no_grad():
    features = encoder(waves, ["relu2_1"])["relu2_1"]
F = features[0].flatten(1)  # (C, M): a channel in each row
M = F.shape[1]
G = F @ F.T / M
print(tuple(F.shape), "->", tuple(G.shape))
assert torch.allclose(G, gram(features)[0], rtol=1e-3, atol=1e-5)

# %% [markdown]
# ## As a heat map
#
# Row $i$, column $j$: how much channels $i$ and $j$ fire together. Two paintings have different
# matrices; two parts of one painting have nearly the same.


# %%
def matrix_of(picture, layer="relu3_1"):
    """The Gram matrix of a layer as numbers ``(C, C)``."""
    with torch.no_grad():
        return gram(encoder(picture, [layer])[layer])[0]


left, right = waves[..., : SIZE // 2], waves[..., SIZE // 2 :]
pictures = {"waves, left": left, "waves, right": right, "mosaic": mosaic}
matrices = {name: matrix_of(picture) for name, picture in pictures.items()}
impasto.compare(
    *[heat(stretched(matrix.abs().sqrt(), 0.999)) for matrix in matrices.values()],
    labels=list(matrices),
)


# %%
def distance(a, b):
    """The relative distance of two matrices: 0 for equal ones."""
    return float((a - b).square().sum() / b.square().sum())


same = distance(matrices["waves, left"], matrices["waves, right"])
other = distance(matrices["mosaic"], matrices["waves, right"])
print(f"the other half of the same painting: {same:.3f}; another painting: {other:.3f}")
assert same < other

# %% [markdown]
# ## The loss
#
# With $A^l$ the style's matrix at layer $l$ and $w_l$ the layer's weight,
#
# $$L_\text{style} = \sum_l w_l \, \lVert G^l - A^l \rVert_F^2 \cdot \text{(normalisation)}.$$
#
# [impasto/losses/statistics.py](../../impasto/losses/statistics.py)
#
# ```py
# difference = self._statistic(sums, name) - self.target[name]
# losses[name] = self.factor[name] * difference.square().sum()
# ```

# %%
LAYERS = ["relu1_1", "relu2_1", "relu3_1"]
with torch.no_grad():
    loss = GramLoss(encoder(waves, LAYERS), {"relu1_1": 0.5, "relu2_1": 0.3, "relu3_1": 0.2})
    print({layer: float(value) for layer, value in loss(encoder(mosaic, LAYERS)).items()})

# %% [markdown]
# ## As a texture
#
# Noise, moved until its Gram matrices are the style's, is more of the style: no photo, no content.

# %%
texture = impasto.texture("waves", size=SIZE, steps=STEPS, encoder=encoder)
impasto.compare(waves, texture, labels=["waves", "texture"])

# %% [markdown]
# ## Exercises
#
# 1. Two channels, four positions: what is $G$ of $\begin{pmatrix}1&0&1&0\\0&1&0&1\end{pmatrix}$?
# 2. Shuffle the positions, all channels alike. How far does $G$ move?
# 3. What is the rank of $G$, at most, for $C$ channels and $M$ positions?

# %%
answer_1 = torch.tensor([[0.5, 0.0], [0.0, 0.5]])
assert torch.allclose(
    gram(torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 1]]).reshape(1, 2, 1, 4))[0], answer_1
)

shuffled = F[:, torch.randperm(M, generator=torch.Generator().manual_seed(0))]
answer_2 = 0.0
assert abs(distance(shuffled @ shuffled.T / M, G) - answer_2) < 1e-6

few = F[:, :5].double()
answer_3 = min(F.shape[0], 5)  # min(C, M)
assert torch.linalg.matrix_rank(few @ few.T) <= answer_3
print("all right")
