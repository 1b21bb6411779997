"""Ways to be wrong, each found by the check that it is named for: the suite's own test.

A mutant is a connector of the kit's reference provider that does something wrong, or a part of the kit put
wrong. It names every check that fails on it, the one that it is for first.
"""

from . import failures, sales, tokens, walks
from .kinds import Mutant as Mutant

MUTANTS = (*walks.MUTANTS, *sales.MUTANTS, *failures.MUTANTS, *tokens.MUTANTS)
