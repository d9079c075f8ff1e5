"""Criterion 4: right answers to photos of all kinds, and a refusal of everything else."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from challenges.load.client import Answer as Reply
from challenges.load.client import ask
from challenges.load.images import PhotoMaker
from challenges.minimal_service.grading.context import Report
from challenges.minimal_service.grading.measuring import oracle as bounds
from challenges.minimal_service.grading.measuring.oracle import Comparison, Truth, WrongForm, parse
from challenges.minimal_service.grading.measuring.photos import (
    FormatPhoto,
    bad_inputs,
    format_photos,
)
from challenges.minimal_service.grading.submission.running import read_predictions, same_predictions
from challenges.minimal_service.grading.verdict import LESSONS, CriterionResult
from learner.language import _

MOST_OF_ONE = 0.15
"""Largest allowed `difference` of a single photo. Right int8 answers differ by at most 0.04 on one
photo of each kind; a kind that is read wrongly differs by 0.2 and more."""
_SECONDS = 10.0
_PAUSE_S = 1.0
"""A photo that is refused with 503 is sent once more after this time."""
_REPEATED = 4


@dataclass(slots=True)
class Asked:
    """What was sent one by one, and the replies; None: no reply."""

    formats: list[tuple[FormatPhoto, Reply | None]] = field(default_factory=list)
    again: list[tuple[Reply | None, Reply | None]] = field(default_factory=list)
    """The replies to the same photo, sent twice with others between."""
    bad: dict[str, Reply | None] = field(default_factory=dict)
    lives: bool = False
    """After all the bad inputs, a photo was answered as before."""


def ask_one_by_one(port: int, seed: int, maker: PhotoMaker) -> Asked:
    """Send one photo of each kind, some photos twice, and inputs that are no photo."""
    asked = Asked()
    asked.formats = [(photo, _ask(port, photo.data)) for photo in format_photos(seed)]
    photos = maker.photos(_REPEATED, series=2)
    first = [_ask(port, photo) for photo in photos]
    asked.again = [(one, _ask(port, photo)) for one, photo in zip(first, photos, strict=True)]
    asked.bad = {name: _ask(port, data) for name, data in bad_inputs(photos[0]).items()}
    asked.lives = _is_same(first[0], _ask(port, photos[0]))
    return asked


def _ask(port: int, body: bytes) -> Reply | None:
    """Return the reply; a first 503 does not count here, as the load shows what refusing costs."""
    try:
        reply = ask(port, "/predict", _SECONDS, body)
        if reply.status == HTTPStatus.SERVICE_UNAVAILABLE:
            time.sleep(_PAUSE_S)
            reply = ask(port, "/predict", _SECONDS, body)
    except OSError:
        return None
    return reply


def _is_same(one: Reply | None, other: Reply | None) -> bool:
    """Return whether both are answers, and the same ones; labels are checked elsewhere."""
    first, second = (
        read_predictions(reply.body) if reply and reply.status == 200 else None
        for reply in (one, other)
    )
    return same_predictions(first, second)


def judge(
    asked: Asked, sampled: Sequence[tuple[bytes, bytes]], truth: Truth
) -> tuple[CriterionResult, Comparison]:
    """Compare the answers with those of the model.

    Args:
        asked: what was sent one by one.
        sampled: photos of the load, and the bodies of their answers with status 200.
        truth: the research model.

    Returns:
        The result, and the comparison of the sampled answers.
    """
    report = Report("answers", lesson=LESSONS["answers"])
    compared = _judge_sample(report, sampled, truth)
    _judge_formats(report, asked, truth)
    _judge_repeated(report, asked)
    _judge_bad(report, asked.bad, asked.lives)
    if compared is None or _is_hopeless(compared, asked, truth):
        report.share = 0.0  # these are not the model's answers, so nothing else counts
    return report.result(), compared or Comparison()


def _is_hopeless(compared: Comparison, asked: Asked, truth: Truth) -> bool:
    """Return whether the answers are not the model's at all, or a 200 holds no answer."""
    if (
        compared.agreement < bounds.HOPELESS
        or compared.quantile(0.5) > 2 * bounds.MOST_MEDIAN
        or compared.quantile(0.95) > 2 * bounds.MOST_P95
    ):
        return True
    replies = [*(reply for _photo, reply in asked.formats), *asked.bad.values()]
    return any(reply and reply.status == 200 and _is_no_answer(reply, truth) for reply in replies)


def _is_no_answer(reply: Reply, truth: Truth) -> bool:
    try:
        parse(reply.body, truth.labels)
    except WrongForm:
        return True
    return False


def _judge_sample(
    report: Report, sampled: Sequence[tuple[bytes, bytes]], truth: Truth
) -> Comparison | None:
    """Judge photos of the load; return None if no answer could be compared."""
    if not sampled:
        text = _("No photo of the load was answered with status 200.")
        report.check("sample-answered", False, text, text)
        return None
    photos, answers, fault = [], [], None
    for photo, body in sampled:
        try:
            answers.append(parse(body, truth.labels))
            photos.append(photo)
        except WrongForm as error:
            fault = fault or str(error)
    wrong = len(sampled) - len(answers)
    text = _("{wrong} of {n} answers of the load had not the form of the contract.")
    text = text.format(wrong=wrong, n=len(sampled))
    report.check("answers-have-form", not wrong, f"{text} {fault}" if fault else text, fault)
    if wrong:
        return None
    compared = truth.compare(photos, answers)
    text = _(
        "The first class is the research model's for {share:.1%} of {n} photos of which the model "
        "is more than {sure} sure; {bound:.1%} are asked for."
    )
    cause = _(
        "The answers are not those of the research model on this very photo: compare your "
        "preprocessing and your weights with the notebook's, photo by photo."
    )
    asked_for = {"sure": bounds.SURE, "bound": bounds.LEAST_AGREEMENT}
    share, n = compared.agreement, len(compared.counted)
    report.check("first-class", compared.agrees_enough, text, cause, share=share, n=n, **asked_for)
    median, high = compared.quantile(0.5), compared.quantile(0.95)
    text = _(
        "Probabilities differ from the research model's by {median:.3f} in the median and "
        "{high:.3f} at the 95th percentile; at most {most_median} and {most_high} are allowed."
    )
    cause = _(
        "The first classes are right more often than the probabilities: another resize filter or "
        "crop, another normalisation, or classes that were left out, shift them without an error."
    )
    close = median <= bounds.MOST_MEDIAN and high <= bounds.MOST_P95
    allowed = {"most_median": bounds.MOST_MEDIAN, "most_high": bounds.MOST_P95}
    report.check("probabilities", close, text, cause, median=median, high=high, **allowed)
    report.measured |= {
        "agreement": compared.agreement,
        "median_difference": median,
        "p95_difference": high,
    }
    return compared


def _judge_formats(report: Report, asked: Asked, truth: Truth) -> None:
    wrong: list[str] = []
    for photo, reply in asked.formats:
        said = _find_fault(photo.data, reply, truth)
        if said:
            wrong.append(f"{photo.kind}: {said}")
    text = _("{right} of {n} kinds of image files were answered rightly.")
    text = text.format(right=len(asked.formats) - len(wrong), n=len(asked.formats))
    cause = _(
        "Some kinds of image files are read otherwise than in the research model's preprocessing: "
        "{kinds}"
    ).format(kinds="; ".join(wrong[:8]))
    report.check("formats", not wrong, f"{text} {'; '.join(wrong)}".strip(), cause)
    report.measured["formats_right"] = float(len(asked.formats) - len(wrong))


def _find_fault(photo: bytes, reply: Reply | None, truth: Truth) -> str | None:
    """Return why a single answer is wrong, as an item of a list; None if it is right."""
    if reply is None:
        return _("no answer within {seconds:g} s").format(seconds=_SECONDS)
    if reply.status != 200:
        return _("status {status}").format(status=reply.status)
    try:
        answer = parse(reply.body, truth.labels)
    except WrongForm as error:
        return str(error)
    difference = truth.compare([photo], [answer]).difference[0]
    if difference <= MOST_OF_ONE:
        return None
    return _("probabilities differ by {difference:.2f}").format(difference=difference)


def _judge_repeated(report: Report, asked: Asked) -> None:
    same = sum(_is_same(one, other) for one, other in asked.again)
    text = _("{same} of {n} photos were answered the same when sent again.")
    cause = _(
        "The answer to a photo depends on more than the photo: on what came before it, if the "
        "service keeps a state; or on the other images of its batch, for example if they share "
        "one scale of an int8 rounding."
    )
    n = len(asked.again)
    report.check("same-again", same == n, text, cause, same=same, n=n)


def _judge_bad(report: Report, bad: Mapping[str, Reply | None], lives: bool) -> None:
    lost = _("no answer")
    accepted = [
        f"{name}: {reply.status if reply else lost}"
        for name, reply in bad.items()
        if reply is None or not 400 <= reply.status < 500
    ]
    text = _("{right} of {n} bodies that are no photo were refused with a status of 4xx.")
    text = text.format(right=len(bad) - len(accepted), n=len(bad))
    cause = _(
        "What cannot be decoded must be answered with a status of 4xx: catch the decoder's errors "
        "where the photo is opened. Not so here: {kinds}"
    ).format(kinds="; ".join(accepted))
    report.check("bad-refused", not accepted, f"{text} {'; '.join(accepted)}".strip(), cause)
    text = (
        _("After the bad ones, a photo was answered as before.")
        if lives
        else _("After the bad ones, a photo was not answered as before.")
    )
    cause = _("A bad image must fail alone; the service must live on.")
    report.check("lives-on", lives, text, cause)
