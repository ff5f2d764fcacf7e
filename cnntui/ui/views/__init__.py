"""Each view draws one lab's state and turns keys into its moves."""
