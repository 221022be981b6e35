"""Make sources: prompts from a grammar, with every attribute that they ask for.

A grammar is data (`grammars/*.toml`); the code here draws attributes first and writes the text second. Every
draw depends on the seed, the prompt's index and the attribute's name alone, so a longer file begins with the
shorter one, and asking for one attribute leaves the others as they were where the conditions allow it.

    grammar_file  reads and checks the TOML       grammar   what is drawn, compiled
    requests      what the user asks for          choosing  attributes of one prompt
    wording       the text of one prompt          rules     what no prompt may say
    prompts       the whole stream                coverage  what a set of prompts covers
"""
