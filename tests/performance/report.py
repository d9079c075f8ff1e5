"""The tables (report.md) and the plots of one run, from its results.json alone."""

from pathlib import Path
from statistics import median
from typing import Any

import matplotlib
import numpy as np

from tests.performance.bounds import judge, saturation_share
from tests.performance.contestants import OURS, OURS_DEFAULT
from tests.performance.peers import PEERS

matplotlib.use("Agg")
from matplotlib import pyplot as plt

_BLUE, _GREY, _RED = "#1f5fa8", "#9a9a9a", "#b3261e"


def write(results: dict[str, Any], folder: Path) -> None:
    """Write report.md, latency.png, rate.png and growth.png into the folder."""
    _draw_latency(results, folder / "latency.png")
    _draw_rate(results, folder / "rate.png")
    draw_growth(results["growth"], folder / "growth.png")
    (folder / "report.md").write_text("\n".join(_lines(results)) + "\n")


def _lines(results: dict[str, Any]) -> list[str]:
    machine, limit = results["machine"], results["limit"]
    lines = [
        "# Benchmark",
        "",
        f"{results['minutes']:.0f} minutes. Photos of 500 × 375, JPEG → top 5. Machine: "
        f"{machine['gemm_gflops']:.0f} GFLOP/s (fp32 matrix product), "
        f"{machine['memory_gb_per_s']:.0f} GB/s (reading memory). The limit (no server, one "
        "process a core): "
        + ", ".join(f"{form} {value:.0f} images/s" for form, value in limit.items())
        + ".",
        "",
        "| | ready s | memory MiB | p50 / p90 / p99 / p99.9 ms at 50/s | highest rate with p99 < "
        "50 ms: constant · Poisson (share of the limit) | saturation, share of the limit |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in results["contestants"].items():
        lines.append(_row(name, one, results))
    lines += ["", *(f"- {name}: skipped, {why}" for name, why in results["skipped"].items())]
    lines += [
        "",
        "| at 3 × saturation | goodput, share of saturation | p99 of the answered ms "
        "| p99 of a refusal ms | lost | memory grown MiB | back to normal s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one in results["contestants"].items():
        if over := one["overload"]:
            share = over["goodput"] / median(one["saturation"])
            lines.append(
                f"| {name} | {share:.2f} | {_ms(over['accepted_p99_ms'])} | "
                f"{_ms(over['refused_p99_ms'])} | {over['lost']} | {over['grown_mib']:.0f} | "
                f"{_ms(over['recovery_s'])} |"
            )
    lines += ["", "| bound | measured | kept |", "|---|---|---|"]
    for verdict in judge(results):
        sign = "≤" if verdict.at_most else "≥"
        kept = "yes" if verdict.kept else "**no**"
        lines.append(f"| {verdict.what} {sign} {verdict.bound} | {verdict.measured:.2f} | {kept} |")
    lines += ["", *list_growth(results["growth"])]
    lines += ["", "Settings of the peers:", ""]
    lines += [
        f"- {name}: {PEERS[name].settings}" for name in results["contestants"] if name in PEERS
    ]
    return lines


def _row(name: str, one: dict[str, Any], results: dict[str, Any]) -> str:
    if one["fault"]:
        return f"| {name} | no figures: {one['fault']} | | | | |"
    limit = results["limit"][one["form"]]
    calm = np.median(np.array(one["calm_ms"]), axis=0)
    rates = " · ".join(
        f"{rate:.0f} ({rate / limit:.2f})"
        for rate in (one["highest_constant"] or 0, one["highest_poisson"] or 0)
    )
    return (
        f"| {name} | {median(one['ready_s']):.1f} | {median(one['memory_mib']):.0f} | "
        f"{' / '.join(map(_ms, calm))} | {rates} | "
        f"{median(one['saturation']):.0f}/s, {saturation_share(one):.2f} |"
    )


def list_growth(growth: dict[str, Any]) -> list[str]:
    """Return the tables of `growth.measure` in Markdown, a line each."""
    lines = ["| image | kB | preprocessing ms |", "|---|---|---|"]
    for row in growth["image_size"]:
        size = f"{row['width']} × {row['height']}"
        lines.append(f"| {size} | {row['kilobytes']:.0f} | {row['preprocess_ms']:.1f} |")
    batches = growth["batch_ms_per_image"]
    sizes = list(next(iter(batches.values())))
    lines += ["", "| ms an image, batch of | " + " | ".join(map(str, sizes)) + " |"]
    lines += ["|---" * (len(sizes) + 1) + "|"]
    for name, costs in batches.items():
        lines.append(f"| {name} | " + " | ".join(f"{cost:.1f}" for cost in costs.values()) + " |")
    lines += ["", "| classes | classifier ms | screened ms | top 5 ms |", "|---|---|---|---|"]
    for row in growth["classes"]:
        costs = (row[f"{kind}_ms"] for kind in ("forward", "screened", "top_5"))
        lines.append(f"| {row['classes']:,} | " + " | ".join(f"{ms:.2f}" for ms in costs) + " |")
    return lines


def _ms(value: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else ("–" if np.isnan(value) else "∞")


def _colour(name: str) -> str:
    return {OURS_DEFAULT: _BLUE, OURS: "#6fa8dc"}.get(name, _GREY)


def _draw_latency(results: dict[str, Any], path: Path) -> None:
    """How many of the requests at 50/s took longer than so long; the axes in powers of ten."""
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for name, one in reversed(results["contestants"].items()):
        latency = np.sort(one["latencies_ms"])
        if not len(latency):
            continue
        above = 1 - np.arange(len(latency)) / len(latency)
        ours = name in (OURS, OURS_DEFAULT)
        axes.step(
            latency,
            above,
            color=_colour(name) if ours else None,
            linewidth=2.2 if ours else 0.9,
            label=name,
            where="post",
        )
    axes.axvline(50, color=_RED, linewidth=1, linestyle="--")
    axes.set(xscale="log", yscale="log", xlabel="latency from the moment due, ms",
             ylabel="share of requests that took longer", title="50 requests a second")  # fmt: skip
    axes.set_xlim(4, 500)
    axes.legend(fontsize=8, reverse=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _draw_rate(results: dict[str, Any], path: Path) -> None:
    """Latency by rate, ours; and everyone's highest rate within 50 ms."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for name, one in results["contestants"].items():
        for row, style in (("p50_ms", ":"), ("p99_answered_ms", "-")):
            if curve := one["curve"]:
                label = f"{name}, {row.split('_')[0]}"
                rates = [point["rate"] for point in curve]
                values = [point[row] for point in curve]
                left.plot(rates, values, style, color=_colour(name), label=label, marker=".")
    left.axhline(50, color=_RED, linewidth=1, linestyle="--")
    left.set(xlabel="requests a second (Poisson)", ylabel="ms", ylim=(0, 80),
             title="latency of the answered, by rate")  # fmt: skip
    left.legend(fontsize=8, loc="lower right")
    everyone = {
        name: one
        for name, one in results["contestants"].items()
        if one["highest_constant"] is not None
    }
    places = np.arange(len(everyone))
    for offset, arrivals, alpha in ((-0.2, "constant", 1.0), (0.2, "poisson", 0.55)):
        right.barh(
            places + offset,
            [one[f"highest_{arrivals}"] or 0 for one in everyone.values()],
            0.38,
            color=[_colour(name) for name in everyone],
            alpha=alpha,
            label=arrivals,
        )
    right.set(yticks=places, xlabel="requests a second, arriving constantly (dark) or Poisson",
              title="highest rate with p99 < 50 ms and no error")  # fmt: skip
    right.set_yticklabels(list(everyone))
    right.invert_yaxis()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_growth(growth: dict[str, Any], path: Path) -> None:
    """Draw the cost by image size, batch and classes."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    sizes = growth["image_size"]
    pixels = [row["width"] * row["height"] / 1e6 for row in sizes]
    axes[0].plot(pixels, [row["preprocess_ms"] for row in sizes], "o-", color=_BLUE)
    axes[0].set(xlabel="megapixels", ylabel="ms", ylim=(0, None), title="preprocessing, by size")
    for name, costs in growth["batch_ms_per_image"].items():
        axes[1].plot([int(size) for size in costs], list(costs.values()), "o-", label=name)
    batches = [int(size) for size in next(iter(growth["batch_ms_per_image"].values()))]
    axes[1].set(xscale="log", xlabel="batch", ylim=(0, None), title="forward pass, ms an image")
    axes[1].set_xticks(batches, [str(size) for size in batches])
    axes[1].minorticks_off()
    axes[1].legend(fontsize=8)
    classes = [row["classes"] for row in growth["classes"]]
    for key in ("forward_ms", "screened_ms", "top_5_ms"):
        values = [row[key] for row in growth["classes"]]
        axes[2].plot(classes, values, "o-", label=key.removesuffix("_ms").replace("_", " "))
    axes[2].set(xscale="log", yscale="log", xlabel="classes", title="classifier and top 5, ms")
    axes[2].legend(fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)
