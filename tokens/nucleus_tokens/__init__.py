"""What a capability is and how it travels: the lattice of powers, exposure, labels, caveats
and the token that carries them. Nothing here looks at the world or imports another package of ours.
"""
