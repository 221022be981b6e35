"""The page for voting: a small web application over the folder of one campaign.

app.py          what is answered to whom
guarding.py     what is refused before anything is read, and the headers of every answer
recording.py    votes are on the disk before they are answered, many with one wait for the disk
static/         the page itself: no framework, no build step
"""
