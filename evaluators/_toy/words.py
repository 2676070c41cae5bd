"""The vocabulary of the toy world: every concept has a word for documents and one for queries.

A model that only matches words finds nothing; it has to learn which words mean the same.
"""

Pairs = dict[str, str]
"""Query word by document word."""


def _pairs(text: str) -> Pairs:
    """Read query words by document word, from text such as `boat/vessel house/dwelling`."""
    pairs = dict(word.split("/") for word in text.split())

    words = [*pairs, *pairs.values()]
    if len(set(words)) != len(words):
        message = "a word of the toy world has two meanings"
        raise ValueError(message)

    return pairs


NOUNS = _pairs("""
    boat/vessel house/dwelling road/path forest/wood stone/rock lamp/lantern letter/note
    coin/penny sword/blade crown/diadem carpet/rug mirror/looking-glass basket/hamper
    bottle/flask cup/goblet jar/pot chair/seat table/desk bed/cot door/gate window/pane
    ladder/steps rope/cord net/mesh hammer/mallet axe/hatchet bell/chime drum/tabor flute/pipe
    painting/picture statue/sculpture book/volume map/chart clock/timepiece ring/band coat/cloak
    shoe/boot hat/cap horse/steed dog/hound cat/feline bird/fowl fish/trout bear/grizzly
    bread/loaf cheese/curd apple/fruit soup/broth wagon/cart wheel/disc bridge/viaduct
    tower/spire well/spring garden/orchard
""")
ADJECTIVES = _pairs("""
    red/crimson blue/azure green/emerald yellow/golden white/pale black/dark old/ancient
    new/recent big/large small/little broken/shattered clean/spotless dirty/filthy heavy/weighty
    soft/gentle hard/firm bright/shining wet/damp cold/chilly hot/burning cheap/inexpensive
    rare/scarce strange/odd plain/simple
""")
PEOPLE = _pairs("""
    merchant/trader farmer/grower king/monarch soldier/warrior teacher/tutor doctor/physician
    child/youngster thief/robber sailor/mariner priest/cleric judge/magistrate cook/chef
    baker/breadmaker hunter/stalker painter/artist miner/digger weaver/clothmaker
    servant/attendant singer/vocalist guard/sentry
""")
PLACES = _pairs("""
    harbour/port market/bazaar village/hamlet castle/fortress church/chapel school/academy
    inn/tavern valley/dale mountain/peak river/stream island/isle desert/wasteland prison/jail
    library/archive theatre/playhouse station/depot mill/grinder barn/shed beach/shore
    cave/grotto
""")
VERBS = _pairs("""
    sold/traded found/discovered hid/concealed stole/took carried/brought repaired/mended
    cleaned/washed watched/observed lost/misplaced bought/purchased
""")
FILLERS = """
    a an and at away beside by did for from has he in is it near of on or that the then there
    they to was were what where which who with later evening morning day night again once soon .
    , ?
"""


def vocabulary() -> list[str]:
    """Return every word of the world, sorted."""
    families = (NOUNS, ADJECTIVES, PEOPLE, PLACES, VERBS)
    words = {word for pairs in families for pair in pairs.items() for word in pair}
    return sorted(words | set(FILLERS.split()))
