"""How long the decisions of one session take, over many variants and Symbols."""
