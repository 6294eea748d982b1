"""How connections end, and what they wait for: one story each."""


def all_of(_seed):
    return []
