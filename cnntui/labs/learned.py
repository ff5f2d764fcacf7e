"""Learning, written out: for one weight, its gradient as the sum it is, and what an optimizer then does to it.

Of one picture, in evaluation mode: a batch of one. A step moves all weights, on a copy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from math import fsum, isfinite

import numpy as np

from cnntui.core.arithmetic import MINUS, TIMES, Equation, brief, channel_sums, number, signed
from cnntui.core.backbone import backbone_and_head
from cnntui.core.backward import Gradients, of_loss
from cnntui.core.explanation import Source, Unit
from cnntui.core.forward import cross_entropy, forward, last_softmax
from cnntui.core.layers import Subsample, shape_text
from cnntui.core.learning import AdamMoments, Moments, MomentsOf, Momentum, Rule, Term, gradient_terms, stepped
from cnntui.core.network import INPUT
from cnntui.core.pointwise import BatchNorm, Dropout
from cnntui.core.windows import Array, Tap
from cnntui.core.workings import PRECISION, SMALLEST, Line, rounded, significant
from cnntui.labs import cell, interventions
from cnntui.labs.changes import Learned, StepTaken
from cnntui.labs.computed import computed
from cnntui.labs.explore import CELL, ExploreState, MoveError
from cnntui.labs.interventions import Settable
from cnntui.labs.methods import Method, methods, name_of, with_rate
from cnntui.runs.spec import Spec, read_json

FEW = 8  # terms of a gradient that are written out
LEAST = 1e-3  # of the largest term: what is smaller is counted among the rest
DIGITS = 4
MOST = 9  # digits that a number has where it takes them to make a line re-add; where they do not, it says ≈
SPARE = MOST - DIGITS
RATES = (1e-9, 1e3)  # learning rates that can be chosen


@dataclass(frozen=True, slots=True)
class GradientTerm:
    """One product of the sum: the units that its two factors are of, and all three as printed.

    `input` is empty where the factor is of no one unit. The `relation` is ≈ where it takes more digits to multiply again.
    """

    output: str
    gradient: str
    input: str
    value: str
    product: str
    relation: str = "="


@dataclass(frozen=True, eq=False)
class Learning:
    """One weight's step, written out.

    Args:
        weight: which one, and its value.
        picture, label: what is learned, in words.
        loss: the label's probability, then the loss, as lines that re-add.
        begins: where backward begins, in words.
        factors: what the two columns of units are of: `conv1`, `input`.
        terms: of its gradient, the largest first.
        rest: how many more terms are not 0, what they come to, and how many are 0.
        gradient: the sum of the products as printed, and the rest.
        direction: what its sign means.
        method: the optimizer, the learning rate, and what is remembered, in words; the last may be empty.
        update: its lines; the last makes the new weight.
        old, new, moved: the weight before and after, and the difference, with the same decimals.
        notes: what is to be told besides, a line each.
    """

    weight: Settable
    picture: str
    label: str
    loss: tuple[Line, ...]
    begins: str
    factors: tuple[str, str]
    terms: tuple[GradientTerm, ...]
    rest: tuple[int, str, int]
    gradient: Equation
    direction: str
    method: tuple[str, str, str]
    update: tuple[Line, ...]
    old: str
    new: str
    moved: str
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Learner:
    """A weight, the picture it learns from, and the optimizer that is asked.

    Args:
        state: what is explored; `label` is what the picture shows.
        weight: the weight as it was when the lesson began: `node`, `name`, `index` say which one.
        methods: the optimizers to choose from; `chosen` is the one.
        lr: the learning rate.
    """

    state: ExploreState
    weight: Settable
    label: int
    methods: tuple[Method, ...]
    chosen: int
    lr: float

    @property
    def method(self) -> Method:
        """The optimizer that is asked."""
        return self.methods[self.chosen]

    @property
    def rule(self) -> Rule:
        """It, with the learning rate chosen."""
        return with_rate(self.method.rule, self.lr)

    @property
    def moments(self) -> MomentsOf | None:
        """What it remembers: of its last steps here, if they were its own; else as it began."""
        learned = self.state.learned
        if learned is not None and name_of(learned.rule) == self.method.name:
            return learned.moments
        return self.method.moments

    @computed
    def gradients(self) -> Gradients:
        """Of the loss."""
        known = self.state.loss_gradients if self.state.picture.label == self.label else None
        return known or of_loss(self.state.trace, self.label)

    @computed
    def learning(self) -> Learning:
        """The step of the weight, written out."""
        return _written(self)

    # -- moves

    def other_method(self) -> Learner:
        """The next optimizer, at the same learning rate."""
        return replace(self, chosen=(self.chosen + 1) % len(self.methods))

    def faster(self, power: int) -> Learner:
        """A learning rate that many powers of ten larger; the same learner at the end of the scale."""
        lr = float(Decimal(repr(self.lr)).scaleb(power))
        return replace(self, lr=lr) if RATES[0] <= lr <= RATES[1] else self

    def of_bias(self) -> Learner:
        """The bias that is added where the weight is, or the weight again.

        Raises:
            MoveError: when there is none.
        """
        if self.weight.name.endswith("bias"):
            raise MoveError("this is the bias already: close, and open it on a weight")
        return replace(self, weight=interventions.bias(self.state))

    def stepped(self) -> Learner:
        """After one step of all weights, by this picture's gradient.

        Raises:
            MoveError: when the loss is then no number any more.
        """
        return replace(self, state=stepped_state(self.state, self.label, self.rule, self.moments, self.gradients))


def learner(state: ExploreState, term: int) -> Learner:
    """For the weight under the cursor: that of the term chosen, at the levels above of the term that counts most.

    Reads the run's files.

    Raises:
        MoveError: when there is no weight there, or no label.
    """
    label = _label(state)
    weight = _weight(state, term)
    known = methods(state.model)
    chosen, lr = 0, known[0].rule.lr
    if state.learned is not None:
        names = [method.name for method in known]
        name = name_of(state.learned.rule)
        chosen, lr = (names.index(name) if name in names else 0), state.learned.rule.lr
    made = Learner(state, weight, label, known, chosen, lr)
    _check(made)
    return made


def stepped_state(
    state: ExploreState, label: int, rule: Rule, moments: MomentsOf | None, gradients: Gradients | None = None
) -> ExploreState:
    """One step on: every weight moved by the gradient of this picture's loss.

    Raises:
        MoveError: when the loss is then no number any more.
    """
    gradients = gradients or of_loss(state.trace, label)
    parameters, remembered = stepped(state.parameters, gradients.parameters, rule, moments)
    with np.errstate(over="ignore", invalid="ignore"):
        trace = forward(state.analysis, parameters, state.input, state.silenced)
        before, after = (cross_entropy(each.scores, label) for each in (state.trace, trace))
    if not isfinite(after):
        raise MoveError(f"a step at learning rate {brief(rule.lr)} makes the loss {after}: press − for smaller steps")
    taken = StepTaken(state.picture.title, label, before, after)
    steps = (*(state.learned.steps if state.learned else ()), taken)
    return state.taught(Learned(parameters, rule, remembered, steps), trace)


def _label(state: ExploreState) -> int:
    if not state.has_classes:
        raise MoveError(f"{state.output_words}, with no class to learn: w needs a net that ends in one number a class")
    label = state.picture.label if state.picture.label is not None else state.target
    if label is None:
        raise MoveError(f"what {state.picture.title} shows is not known: press its digit first, then w")
    if label >= len(state.trace.scores):
        raise MoveError(f"{state.picture.title} is of class {label}: the net has {len(state.trace.scores)}")
    return label


def _weight(state: ExploreState, term: int) -> Settable:
    if state.node == INPUT:
        raise MoveError("a pixel is given, not learned: go to a layer that has weights, then w")
    try:
        found = interventions.weight_or_pixel(state, term if state.level == CELL else cell.first(state))
        if found.node != INPUT:
            return found
    except MoveError:
        pass
    try:
        return interventions.bias(state)
    except MoveError:
        raise MoveError(f"{state.node} has nothing that is learned: go to a layer that has weights, then w") from None


def _check(made: Learner) -> None:
    """Refuse what cannot be written out."""
    if not np.isfinite(made.state.trace.scores).all():
        raise MoveError(f"the scores of {made.state.picture.title} are not all finite: there is no loss to learn from")
    weight, own = made.weight, made.gradients.parameters.get(made.weight.node)
    if own is None:
        raise MoveError(f"the loss does not depend on {weight.node}: nothing is learned there")
    if not isfinite(float(own[weight.name][weight.index])):
        raise MoveError(f"the gradient of {weight.words} is no finite number")


# -- written out


def _written(made: Learner) -> Learning:
    state, weight = made.state, made.weight
    index = weight.index
    old = float(state.parameters[weight.node][weight.name][index])
    slope = float(made.gradients.parameters[weight.node][weight.name][index])
    update = made.rule.written(old, slope, _of_one(made.moments, weight))
    new = update[-1].equation.result
    decimals = max(0, -int(_decimal(new).as_tuple().exponent))
    loss = loss_lines(state.trace.scores, made.label)
    label = state.class_name(made.label)
    begins = f"p {MINUS} 1 = {number(_decimal(loss[0].equation.result) - 1)} for {label}, p for each other"
    terms, rest, total = _gradient(made)
    return Learning(
        replace(weight, value=old),
        state.picture.title,
        label,
        loss,
        begins,
        (weight.node, _multiplied(made)),
        terms,
        rest,
        total,
        _direction(slope, weight),
        _method(made),
        update,
        number(old, decimals),
        new,
        signed(number(_decimal(new) - _decimal(number(old, decimals)))),
        _notes(made),
    )


def loss_lines(scores: Array, label: int) -> tuple[Line, ...]:
    """The label's probability, and cross entropy, each with its numbers; they re-add.

    Scores are less the highest in the powers of e, as torch does it too: no power is too large.
    """
    with localcontext(prec=PRECISION):
        exact = [Decimal(repr(float(score))) for score in scores]
        score, highest = exact[label], max(exact)
        total = sum(((each - highest).exp() for each in exact), Decimal(0))
        share = (score - highest).exp() / total
        loss = -share.ln()
        loss_text, p, relations = significant(loss, DIGITS), "", ["≈", "≈"]
        for spare in (*range(SPARE + 1), 0):
            p = significant(share, DIGITS + spare)
            if _decimal(p) > 0 and _holds(-_decimal(p).ln(), loss, 0):
                relations[1] = "="
                break
        for more in (*range(SPARE + 1), 0):
            # An error of the difference is one in its share of p; where the label's is the highest, there is none.
            decimals = 2 if score == highest else DIGITS - 2 + more
            s, h, t = rounded(score, decimals), rounded(highest, decimals), significant(total, DIGITS + more)
            if _holds((_decimal(s) - _decimal(h)).exp() / _decimal(t), share, spare):
                relations[0] = "="
                break
    h = f"({h})" if h.startswith(MINUS) else h
    return (
        Line("p", "e^(score − highest) / Σ e^(each − highest)", Equation((f"e^({s} − {h}) / {t}",), relations[0], p)),
        Line("loss", f"{MINUS}log(p)", Equation((f"{MINUS}log({p})",), relations[1], loss_text)),
    )


def _holds(again: Decimal, value: Decimal, spare: int) -> bool:
    """Whether a number is within half a unit of the last digit of a value as printed."""
    half = Decimal(5).scaleb(value.adjusted() - DIGITS - spare)
    return abs(again - _decimal(significant(value, DIGITS + spare))) <= half


def _gradient(made: Learner) -> tuple[tuple[GradientTerm, ...], tuple[int, str, int], Equation]:
    """The largest terms, the rest, and their sum."""
    weight = made.weight
    every = gradient_terms(made.state.trace, made.gradients, weight.node, weight.name, weight.index)
    ordered = sorted((term for term in every if term.product), key=lambda term: -abs(term.product))
    shown = [term for term in ordered[:FEW] if abs(term.product) >= LEAST * abs(ordered[0].product)]
    others = ordered[len(shown) :]
    # Where gradients are very small, all are written with one power of ten.
    largest = Decimal(repr(abs(shown[0].product))) if shown else Decimal(1)
    power = largest.adjusted() if largest.adjusted() < SMALLEST else 0
    channels = [[Tap(None, term.value, _shifted(term.gradient, -power))] for term in shown]
    rest = _shifted(fsum(term.product for term in others), -power)
    *parts, total = channel_sums(channels, rest)
    terms = tuple(_term(made, term, part, power) for term, part in zip(shown, parts, strict=True))
    added = tuple(_powered(each, power) for each in total.terms)
    whole = Equation(added or ("0",), total.relation, _powered(total.result, power))
    return terms, (len(others), added[-1] if rest else "0", len(every) - len(ordered)), whole


def _shifted(value: float, power: int) -> float:
    return float(Decimal(repr(value)).scaleb(power))


def _powered(text: str, power: int) -> str:
    """Times a power of ten, written behind it."""
    return f"{text}e{power:+03d}".replace("-", MINUS) if power and text != "0" else text


def _term(made: Learner, term: Term, equation: Equation, power: int) -> GradientTerm:
    gradient, _, value = equation.terms[0].strip("()").partition(TIMES)
    read = _origin(made, term.input)
    product = _powered(equation.result, power)
    with localcontext(prec=PRECISION):
        exact = _decimal(gradient).scaleb(power), _decimal(value)
        gradient, value = (significant(each, min(MOST, len(each.as_tuple().digits))) for each in exact)
        shown = _decimal(product)
        near = Decimal(5).scaleb(min(0, int(_decimal(equation.result).as_tuple().exponent)) + power - 1)
        relation = "=" if abs(_decimal(gradient) * _decimal(value) - shown) <= near else "≈"
    return GradientTerm(_place(term.output), gradient, _place(read.unit) if read else "", value, product, relation)


def _place(unit: Unit) -> str:
    return f"[{','.join(map(str, unit))}]"


def _origin(made: Learner, unit: Unit | None) -> Source | None:
    """Whose number the weight multiplied, behind the layers that only hand it on."""
    read = made.state.rows[made.weight.node].node.inputs[0]
    return None if unit is None else made.state.origin(Source(read, unit))


def _multiplied(made: Learner) -> str:
    """What the weight multiplies, in words."""
    row = made.state.rows[made.weight.node]
    if made.weight.name.endswith("bias"):
        return "1"
    if isinstance(row.node.layer, Subsample):
        return "the mean of its window"
    read = row.node.inputs[0]
    return made.state.origin(Source(read, (0,) * len(made.state.shape(read)))).node


def _of_one(moments: MomentsOf | None, weight: Settable) -> Moments | None:
    own = (moments or {}).get(weight.node, {}).get(weight.name)
    if isinstance(own, AdamMoments):
        mean, square = (float(np.asarray(each)[weight.index]) for each in (own.exp_avg, own.exp_avg_sq))
        return AdamMoments(mean, square, own.step)
    if isinstance(own, Momentum) and own.momentum_buffer is not None:
        return Momentum(float(np.asarray(own.momentum_buffer)[weight.index]))
    return None


def _direction(slope: float, weight: Settable) -> str:
    kind = "bias" if weight.name.endswith("bias") else "weight"
    if not slope:
        return f"0: whatever this {kind} is, a little more or less of it does not change the loss"
    side, way = ("larger", "down") if slope > 0 else ("smaller", "up")
    return f"a larger {kind} makes the loss {side}, so it goes {way}"


def _method(made: Learner) -> tuple[str, str, str]:
    """The optimizer, the learning rate, and what is remembered."""
    method, learned = made.method, made.state.learned
    rate = f"lr {significant(made.lr, DIGITS)}"
    if method.rate and made.lr == method.rule.lr:
        rate += f" = {method.rate}" if TIMES in method.rate else f", {method.rate}"
    words = method.words
    if learned is not None and name_of(learned.rule) == method.name:
        words = "it remembers the steps here"
    elif made.moments is None and not words and name_of(made.rule) != "SGD":
        words = "it remembers nothing yet: a first step"
    return method.name, rate, words


def _notes(made: Learner) -> tuple[str, ...]:
    model = made.state.model
    spec = read_json(model.run / "spec.json", Spec) if model.run else None
    mean = "a training step takes the mean over its whole batch"
    if spec is not None:
        mean = f"a training step takes the mean over its batch of {spec.batch_size}"
    layers = [row.node.layer for row in model.analysis.rows]
    notes = [f"One picture, in evaluation mode: a batch of one; {mean}."]
    if any(isinstance(layer, BatchNorm | Dropout) for layer in layers):
        notes.append("Batch norms take their running statistics, dropout drops nothing.")
    if spec is not None and spec.label_smoothing:
        notes.append(f"The run's label smoothing of {brief(spec.label_smoothing)} is left out.")
    if spec is not None and (how := _held_back(spec, made.weight.node)):
        notes.append(f"In the run {made.weight.node} {how}; here all layers learn alike.")
    if last_softmax(model.analysis) is not None:
        notes.append("The net ends in a softmax: as in training, the loss takes softmax of that once more.")
    shape = shape_text(made.state.parameters[made.weight.node][made.weight.name].shape)
    notes.append(f"{made.weight.node}'s {made.weight.name} has {shape} of these; a step moves all of the net.")
    return tuple(notes)


def _held_back(spec: Spec, node: str) -> str:
    """How a run holds back a layer of its backbone; nothing where it does not."""
    if not (spec.frozen or spec.backbone_lr) or node not in backbone_and_head(spec.network)[0]:
        return ""
    return f"learns at {brief(spec.backbone_lr / spec.lr)} times the rate" if spec.backbone_lr else "is frozen"


def _decimal(text: str) -> Decimal:
    return Decimal(text.replace(MINUS, "-"))
