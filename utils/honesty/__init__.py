"""Which accuracies to believe: copies between splits, impossible figures, what mistakes add.

`audit` looks for copies and faults in a set of faces, `claims` checks a reported accuracy by
arithmetic, `known` has the splits and the figures that claims are compared with.
"""
