"""A preference campaign: which pairs are asked about, of whom, in which order, and what was answered.

candidates.py   images of a folder that share a prompt
design.py       the pairs, balanced, with their sides
planning.py     how many votes an interval takes
folder.py       the files of a campaign
links.py        personal links
stopping.py     when a pair needs no more answers
asking.py       what each annotator is asked next, and what an answer does
votes_log.py    votes on the disk
measuring.py    progress, agreement, and how the annotators answer
"""
