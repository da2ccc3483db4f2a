"""Which accuracies to believe: copies between splits, impossible figures, what mistakes are worth.

`audit` looks for copies and faults in a set of faces, `claims` checks a reported accuracy by
arithmetic, `known` holds the splits and the figures that claims are compared with.
"""
