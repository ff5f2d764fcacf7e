"""What transfer learning parts: a network's backbone, which makes features, and its head, which makes scores of them."""

from __future__ import annotations

from dataclasses import replace

from cnntui.core.analysis import analyse
from cnntui.core.items import Single
from cnntui.core.layers import Conv, Linear
from cnntui.core.network import Network
from cnntui.core.pointwise import BatchNorm, GroupNorm, LayerNorm

NORMS = (BatchNorm, GroupNorm, LayerNorm)


def backbone_and_head(network: Network) -> tuple[tuple[str, ...], str]:
    """The layers before the head that have parameters, and the head: the last layer with weights that is no norm.

    A norm behind the head belongs to it. A network without weights has no head: its name is empty.

    Examples:
        >>> from cnntui.core.notation import parse
        >>> backbone_and_head(parse("conv 8; bn; relu; conv 10 k1; gap", (1, 8, 8)))
        (('conv1', 'bn1'), 'conv2')
    """
    rows = [row for row in analyse(network).rows if row.params]
    at = next((at for at in reversed(range(len(rows))) if not isinstance(rows[at].node.layer, NORMS)), None)
    if at is None:
        return (), ""
    return tuple(row.node.name for row in rows[:at]), rows[at].node.name


def trained_params(network: Network, frozen: bool) -> int:
    """How many of its parameters a training changes; with a `frozen` backbone only those of the head."""
    analysis = analyse(network)
    still = set(backbone_and_head(network)[0]) if frozen else set()
    return sum(row.params for row in analysis.rows if row.node.name not in still)


def with_classes(network: Network, classes: int) -> Network:
    """The same network with another number of outputs: those of its head.

    Raises:
        ValueError: when that is less than 1, or the head is not a linear layer or a convolution outside of all brackets.
    """
    if classes < 1:
        raise ValueError(f"{classes} classes < 1")
    head = backbone_and_head(network)[1]
    layer = next((node.layer for node in network if node.name == head), None)
    places = (at for at, item in enumerate(network.items) if isinstance(item, Single) and item.layer is layer)
    at = max(places, default=None)
    if isinstance(layer, Linear):
        other: Linear | Conv = replace(layer, out_features=classes)
    elif isinstance(layer, Conv) and layer.table is None and layer.groups == 1:
        other = replace(layer, out_channels=classes)
    else:
        at = None
    if at is None:
        what = f"its last layer with weights, {head}," if head else "it"
        raise ValueError(
            f"{network.name}: {what} cannot be given {classes} outputs: write the net with linear {classes}"
        )
    items = (*network.items[:at], Single(other, name=network.items[at].name), *network.items[at + 1 :])
    return replace(network, items=items)
