"""Games of very many players: those of the papers, those of the peers, and random ones."""
