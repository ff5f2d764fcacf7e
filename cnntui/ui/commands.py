"""The command palette: every key of the screen under it, found by what it does."""

from __future__ import annotations

from textual.command import DiscoveryHit, Hit, Hits, Provider

from cnntui.ui.widgets.key_line import key_name


class KeyCommands(Provider):
    """What the active bindings do; so nothing has to be told twice."""

    def _found(self) -> list[tuple[str, str, object]]:
        active = self.screen.active_bindings.values()
        return [
            (f"{a.binding.description}  ({key_name(a.binding.key)})", a.binding.action, a.node)
            for a in active
            if a.binding.description and not a.binding.system and "move" not in a.binding.action
        ]

    async def discover(self) -> Hits:
        """All of them, before anything is typed."""
        for text, action, node in self._found():
            yield DiscoveryHit(text, lambda action=action, node=node: self.app.run_action(action, node))

    async def search(self, query: str) -> Hits:
        """Those that match."""
        matcher = self.matcher(query)
        for text, action, node in self._found():
            if (score := matcher.match(text)) > 0:
                yield Hit(
                    score, matcher.highlight(text), lambda action=action, node=node: self.app.run_action(action, node)
                )
