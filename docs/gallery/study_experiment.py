"""
experiment: what settings does my table ask for?
================================================

What ``meanfield init`` does: it looks at the columns, tries settings in short runs, and writes the file of
an experiment, with its reasons; ``meanfield run`` then does everything on the same networks.
"""

import pathlib
import tempfile

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

table = pathlib.Path(tempfile.mkdtemp()) / "homes.csv"
rng = np.random.default_rng(0)
size, age = rng.uniform(40, 120, 80), rng.uniform(0, 60, 80)
price = 2 * np.tanh((size - 80) / 20) - 0.01 * age + 0.05 * rng.normal(size=80)
city = np.where(rng.random(80) < 0.5, "Rome", "Oslo")
rows = "\n".join(
    f"{a:.1f},{b:.0f},{c},{d:.3f}" for a, b, c, d in zip(size, age, city, price, strict=True)
)
table.write_text(f"size,age,city,price\n{rows}\n")
text = mf.propose(table, target="price").toml()
print("\n".join(text.replace(f"{table.parent}/", "").splitlines()[:40]))

figure, ax = plt.subplots(figsize=(5, 3.2))
ax.scatter(size, price, c=age)
ax.set(xlabel="size", ylabel="price")
