"""Ordinary prompts of faces, from word lists that know nothing of the rules.

They are what a photographer and a novelist say. A rule that refuses these words is too wide.
"""

import random
from collections.abc import Iterator, Mapping, Sequence


def _list(text: str) -> Sequence[str]:
    return [" ".join(each.split()) for each in text.split(";") if each.strip()]


PROFESSIONS = _list("""
    accountant; acupuncturist; air traffic controller; anaesthetist; antiques dealer; apiarist;
    archaeologist; architect; archivist; astronomer; auctioneer; baker; ballet dancer; barista; barrister;
    bartender; bassoonist; beekeeper; blacksmith; boat builder; bomb disposal technician; bookbinder;
    bookseller; border guard; botanist; bouncer; boxer; brewer; bricklayer; bus driver; butcher; cabinet
    maker; calligrapher; carpenter; cartographer; cellist; chef; chess grandmaster; chimney sweep; choir
    master; cobbler; coal miner; comedian; conductor; coroner; costume designer; court clerk; crane
    operator; crime novelist; croupier; customs officer; deep-sea diver; dental nurse; detective;
    dockworker; dog groomer; drag performer; drummer; electrician; engraver; epidemiologist; executioner
    in a costume drama; falconer; farrier; fencing master; ferryman; firefighter; fishmonger; flautist;
    florist; forensic scientist; fruit picker; funeral director; gamekeeper; gardener; geologist;
    glassblower; goldsmith; gravedigger; greengrocer; gynaecologist; hairdresser; harbour pilot; harpist;
    historian; horse trainer; hotel concierge; hunter; ice hockey goalkeeper; illustrator; interpreter;
    jazz singer; jeweller; judge; juggler; karate teacher; kindergarten teacher; knife thrower; lace
    maker; landlady; librarian; lighthouse keeper; locksmith; lumberjack; magician; marine biologist;
    matador; mathematician; mechanic; midwife; milliner; minister; monk; mountain guide; night nurse;
    notary; novelist; nun; nursery nurse; oboist; oil rig worker; optician; organist; paediatrician;
    palaeontologist; pastry chef; pathologist; pearl diver; pediatric nurse; perfumer; pest controller;
    philosopher; physiotherapist; piano tuner; pilot; plumber; poet; police officer; porter; postman;
    potter; priest; primary school teacher; prison warder; professional wrestler; prop maker; publican;
    puppeteer; rabbi; racing driver; radio host; ranger; retired colonel; roofer; rower; saddler; sailor;
    school principal; screenwriter; sculptor; seamstress; secondary school headmaster; secretary;
    shepherd; shoemaker; sniper turned teacher; social worker; sommelier; soprano; sound engineer; stage
    manager; stonemason; stunt double; surgeon; swimming coach; tailor; tanner; tattoo artist; taxi
    driver; teacher; tightrope walker; toxicologist; train driver; translator; trapeze artist; trombonist;
    truck driver; undertaker; upholsterer; urologist; veterinarian; vicar; vintner; violin maker; waiter;
    watchmaker; weaver; welder; whaling historian; wine merchant; wood carver; youth worker; zoologist
""")
CLOTHING = _list("""
    a Gore-Tex shell; a pea coat; a trench coat; a waxed jacket; a bomber jacket; a biker jacket; a denim
    shirt; a chunky knit jumper; a fair isle sweater; an Aran cardigan; a tweed waistcoat; a bow tie; a
    cravat; a silk scarf; a tank top; a wife's old cardigan; a boiler suit; dungarees; overalls; a kimono;
    a sari; a salwar kameez; a kaftan; a dashiki; a djellaba; a poncho; a serape; a hijab; a turban; a
    headscarf; a flat cap; a fedora; a trilby; a bowler hat; a beret; a straw boater; a bobble hat; a
    balaclava rolled up; a hard hat; a pith helmet; a monocle; half-moon spectacles; aviator sunglasses;
    horn-rimmed glasses; a lab coat; scrubs; a cassock; a dog collar; a judge's robe; a mortarboard; a
    letterman jacket; a rugby shirt; a football strip; a fencing mask; a wetsuit; a swimming cap; a life
    jacket; a flak jacket; a chainmail coif; a suit of armour; a breastplate; a gorget; a ruff; a doublet;
    a stiff collar; a corsage; a boutonniere; a pocket square; braces; a leather apron; fingerless gloves;
    a shearling coat; a fur hat; a feather boa; a sequinned gown; an evening gown; a wedding veil; a
    cocktail dress; a pinafore dress; a school tie from his old college; a hoodie; a polo neck; a V-neck
    jumper; a wrap dress; a linen shirt with rolled sleeves; an unbuttoned overcoat; an open collar; a
    crew-neck T-shirt; a band T-shirt; a string vest; thermal underlayers; a dressing gown; pyjamas with
    stripes; a bathrobe; a kilt; lederhosen; a dirndl; a corduroy jacket; a velvet blazer; a cable-knit
    hat; a quilted gilet; a high-visibility vest; a Barbour; a stab-proof vest of a police officer; a
    bulletproof vest; a straitlaced grey suit; killer boots; a kid-leather glove; a cum-laude sash; a
    striped Breton top; a rain hat; a southwester; a cape; an opera cloak; a toga; a laurel wreath
""")
LIGHTING = _list("""
    golden hour; blue hour; harsh noon sun; dappled shade; Rembrandt lighting; butterfly lighting; split
    lighting; broad lighting; short lighting; loop lighting; clamshell lighting; a beauty dish; a ring
    light; a softbox; an octabox; a bare bulb; a naked bulb overhead; a snoot; barn doors; a kicker; a
    hair light; a rim light; backlight; contre-jour; bounced flash; off-camera flash; a gelled strobe;
    neon signs; sodium street lamps; candlelight; firelight; moonlight; overcast sky; window light from
    the north; light through Venetian blinds; chiaroscuro; tenebrism; low-key light; high-key light; a
    dying fire; the last light of the day; blown-out highlights; crushed blacks; lens flare; volumetric
    light; god rays; a shaft of light; a single lamp; a bleeding red gel; fluorescent tubes; the glow of a
    phone; projector light; stage lights; a follow spot; tungsten light; a cold dawn; a thunderstorm; snow
    light; reflections from water; fairy lights; paper lanterns; a gas lamp; strip lights; stripped-back
    lighting; hot lights; a blood-red sunset; blood moon light; hard shadows
""")
CAMERA = _list("""
    shot in the studio; shot in the rain; shot in the back yard; shot on film; shot on Kodak Portra 400;
    shot at f/1.8; shooting at golden hour; shooting at f/2.8; shooting into the sun; a head shot; a mug
    shot pastiche; a passport photo; a candid shot; a snapshot; a wide shot; a tight crop; tight framing;
    a close-up; an extreme close-up; a bust portrait; a half-length portrait; a three-quarter view; a
    profile; eye level; a low angle; a high angle; a Dutch angle; an over-the-shoulder shot; an 85mm lens;
    a 50mm prime; a 135mm lens; a tilt-shift lens; a macro lens; a fisheye; a pinhole camera; a wet plate
    collodion; a tintype; a daguerreotype; a cyanotype; a Polaroid; a Holga; a Leica M6; a Hasselblad; a
    Rolleiflex; a Nikon F3; a contact sheet; a blowup; a double exposure; a long exposure; motion blur;
    shallow depth of field; creamy bokeh; film grain; pushed two stops; cross-processed; bleach bypass;
    burned edges; dodge and burn; split toning; sepia toned; black and white; a cropped frame; the subject
    fills the frame; the rule of thirds; leading lines; negative space; a firing squad of flashes; trigger
    released by cable; bracketed three times; ISO 100; 1/250 s; a flash gun at half power; a gun
    microphone behind her; stripped of colour; exposed for the face; an over-exposed background;
    under-exposed by one stop; 14 mm lens; 16 megapixels
""")
ARTISTS = _list("""
    David Lynch; Dorothea Lange; Richard Avedon; Annie Leibovitz; Steve McCurry; Diane Arbus; Irving Penn;
    August Sander; Nan Goldin; Sally Mann; Vivian Maier; Henri Cartier-Bresson; Robert Capa; Gordon Parks;
    Yousuf Karsh; Man Ray; Helmut Newton; Peter Lindbergh; Cindy Sherman; Seydou Keita; Malick Sidibe;
    Zanele Muholi; Rembrandt; Caravaggio; Vermeer; Velazquez; Goya; Titian; Raphael; Botticelli; Giotto;
    Holbein; Van Eyck; Van Dyck; Frans Hals; Rubens; Gainsborough; Reynolds; Turner; Constable; Ingres;
    Delacroix; Courbet; Manet; Degas; Cassatt; Renoir; Monet; Cezanne; Gauguin; Van Gogh; Munch; Klimt;
    Schiele; Kokoschka; Modigliani; Picasso; Braque; Matisse; Chagall; Dix; Grosz; Hopper; Grant Wood;
    Andrew Wyeth; Norman Rockwell; Frida Kahlo; Diego Rivera; Lucian Freud; Francis Bacon; Hockney;
    Warhol; Lichtenstein; Chuck Close; Alice Neel; Kehinde Wiley; Amy Sherald; Hokusai; Utamaro;
    Hiroshige; Alphonse Mucha; Aubrey Beardsley; Egon Schiele; John Singer Sargent; James McNeill
    Whistler; Gwen John; Balthus; Francisco de Zurbaran; Judith Leyster; Artemisia Gentileschi; Sofonisba
    Anguissola; Angelica Kauffman; Tarkovsky; Kubrick; Hitchcock; Kurosawa; Wes Anderson; Sofia Coppola;
    Agnes Varda; Ingmar Bergman; Killing Eve posters; John Lee Hooker; Gore Vidal; Al Gore; Nicky Butt;
    Karin Slaughter; Lee Child; Julia Child
""")
PLACES = _list("""
    Essex; Sussex; Middlesex; Scunthorpe; Penistone; Cockermouth; Dublin; Edinburgh; Glasgow; Belfast;
    Cardiff; Swansea; London; Paris; Lyon; Marseille; Berlin; Hamburg; Cologne; Vienna; Graz; Zurich;
    Rome; Naples; Palermo; Venice; Madrid; Seville; Lisbon; Porto; Athens; Thessaloniki; Istanbul; Ankara;
    Cairo; Alexandria; Tunis; Marrakesh; Dakar; Lagos; Accra; Abidjan; Nairobi; Addis Ababa; Kampala;
    Kinshasa; Johannesburg; Cape Town; Mumbai; Delhi; Kolkata; Chennai; Karachi; Lahore; Dhaka; Colombo;
    Kathmandu; Bangkok; Phuket; Hanoi; Saigon; Phnom Penh; Singapore; Jakarta; Manila; Hong Kong;
    Shanghai; Beijing; Seoul; Busan; Tokyo; Osaka; Kyoto; Sydney; Melbourne; Auckland; Honolulu;
    Anchorage; Vancouver; Toronto; Montreal; Boston; New York; Harlem; Baltimore; Charleston; New Orleans;
    Nashville; Memphis; Chicago; Detroit; Minneapolis; Denver; Santa Fe; Tucson; Los Angeles; Compton; San
    Francisco; Portland; Seattle; Mexico City; Oaxaca; Havana; Kingston; Port-au-Prince; Bogota; Quito;
    Lima; Cusco; La Paz; Santiago; Buenos Aires; Montevideo; Rio de Janeiro; Bahia; Reykjavik; Oslo;
    Bergen; Stockholm; Gothenburg; Copenhagen; Helsinki; Tallinn; Riga; Vilnius; Warsaw; Krakow; Prague;
    Brno; Budapest; Bucharest; Sofia; Belgrade; Sarajevo; Zagreb; Kyiv; Lviv; Odesa; Tbilisi; Yerevan;
    Baku; Tehran; Isfahan; Baghdad; Damascus; Beirut; Amman; Jerusalem; Tel Aviv; Riyadh; Sanaa; Muscat;
    Kabul
""")
FIRST_NAMES = _list("""
    Nazir; Nazira; Nazim; Aisha; Fatima; Mohammed; Yusuf; Ibrahim; Ravi; Priya; Anjali; Vikram; Wei; Mei;
    Hiroshi; Keiko; Minh; Linh; Somchai; Putri; Kwame; Ama; Chinedu; Ngozi; Amina; Thabo; Zanele; Tendai;
    Juan; Maria; Jesus; Guadalupe; Diego; Lola; Carlos; Ines; Joao; Beatriz; Giovanni; Chiara; Luca;
    Pierre; Amelie; Hans; Greta; Fritz; Heidi; Anders; Ingrid; Bjorn; Astrid; Mikko; Aino; Piotr;
    Agnieszka; Jan; Ivana; Dmitri; Olga; Tatiana; Boris; Dick; Willy; Fanny; Randy; Gay; Rod; Jack; John;
    Mary; Elizabeth; Virginia; Violet; Rose; Ruby; Pearl; Opal; Dolly; Candy; Ginger; Misty; Angel;
    Trinity; Genevieve; Adolf's grandson Karl; Cass; Tess; Bess; Babe; Kit; Teddy; Sonny; Junior
""")
SURNAMES = _list("""
    Lynch; Cocks; Dickinson; Hancock; Cummings; Sexton; Nakedi; Gunn; Pistol; Savage; Goreham; Coffin;
    Graves; Moody; Payne; Love; Lusty; Bond; Wood; Stone; Bush; Young; Kidd; Boyd; Boyle; Girling; Major;
    Childers; Batten; Barr; Beard; Bullock; Swallow; Longbottom; Ramsbottom; Bottomley; Shufflebottom;
    Titmarsh; Titchmarsh; Woodcock; Peacock; Glasscock; Babcock; Alcock; Hitchcock; Hiscock; Pratt; Raper;
    Hore; Whorwood; Pakenham; Spicer; Spick; Cooney; Coonan; Kikel; Kikuchi; Gookin; Fuchs; Fokker; Koch;
    Dyke; Van Dyke; Fagan; Faggetter; Niger; Nigel; Chinkara; Chin; Wang; Ho; Kuntz; Schmuck; Heilbron;
    Kaufman; Rosenberg; Goldstein; Cohen; Okafor; Mensah; Abebe; Mbeki; Nguyen; Tran; Pham; Kim; Park;
    Tanaka; Sato; Suzuki; Singh; Patel; Khan; Hussain; Chaudhry; Sharma; Garcia; Lopez; Hernandez; Silva;
    Santos; Rossi; Ferrari; Dupont; Lefevre; Muller; Schmidt
""")
HOBBIES = _list("""
    target shooting; clay pigeon shooting; fencing; judo; wrestling; kick-boxing; bird watching; angling;
    fly fishing; spear fishing; deer stalking; beekeeping; whittling; pottery; life drawing; stained
    glass; knitting; crochet; quilting; model trains; toy trains; tin soldiers; chess; bridge; poker;
    darts; snooker; bar billiards; pole vaulting; hurdling; shot put; hammer throwing; rowing; sculling;
    sailing; surfing; body boarding; bodybuilding; cross-country skiing; curling; ice hockey; bowls;
    croquet; cricket; baseball; punching a bag at the gym; skipping rope; rope making; knot tying;
    bell-ringing; folk dance; belly dance; pole dance fitness; burlesque revival; flamenco; tango; salsa;
    karaoke; choir practice; amateur dramatics; murder mystery weekends; crime fiction; true-crime
    podcasts; horror films; zombie walks; war games; battle re-enactment; metal detecting; stargazing;
    foraging; brewing beer; wine tasting; cheese making; baking bread with a bread knife; butchery
    classes; cocktail mixing; cigar rolling; wild swimming; naked-eye astronomy; hot yoga
""")
HAIR = _list("""
    a bob; a pixie cut; a bowl cut; a crew cut; a buzz cut; a fade; an undercut; a mullet; a mohawk; a
    quiff; a pompadour; a ponytail; pigtails; a bun; a top knot; a chignon; a French plait; cornrows; box
    braids; dreadlocks; locs; twists; Bantu knots; an afro; finger waves; a perm; ringlets; beach waves; a
    shag; layers; a fringe; baby bangs; curtain bangs; baby hairs; sideburns; mutton chops; a handlebar
    moustache; a goatee; a soul patch; designer stubble; three days of stubble; five days of beard; a week
    of beard; a full beard; a salt-and-pepper beard; a braided beard; a shaved head; a receding hairline;
    a widow's peak; a comb-over; a bald patch; grey roots; bleached tips; strawberry blonde hair; dirty
    blonde hair; jet-black hair; auburn hair; ginger hair; chestnut hair; silver hair; snow-white hair;
    wet hair; windswept hair; bed head; messy hair; greasy hair; frizzy hair; hair tied up; loose hair;
    hair down to the waist; naturally curly hair; razor-cut layers; a slashed fringe; choppy layers; a
    cropped cut; tight curls; 4c hair
""")
MAKE_UP = _list("""
    nude lips; nude lipstick; a nude lip; nude eyeshadow; a nude palette; nude blush; nude nails; nude
    make-up; red lipstick; matte lips; glossy lips; stained lips; blood-red lips; lip liner; a cupid's
    bow; full lips; chapped lips; smoky eyes; cat-eye liner; winged eyeliner; smudged kohl; mascara; false
    lashes; bare lashes; blushed cheeks; rouge; bronzer; highlighter; contour; foundation; powder; a bare
    face; no make-up; dewy skin; sheer foundation; tinted moisturiser; a beauty spot; gothic make-up;
    stage make-up; clown make-up; geisha-style white powder; face paint; henna; glitter; coral blush; plum
    lips; berry lips; thick brows; bleached brows; thin brows; pencilled brows; a strip of lashes; dark
    nails
""")
JEWELLERY = _list("""
    hoop earrings; a stud; a nose stud; a septum ring; pearl earrings; a pearl necklace; a string of
    pearls; a choker; a locket; a cameo; a brooch; a signet ring; a wedding band; an eternity ring; a
    tennis bracelet; a charm bracelet; bangles; cufflinks; a tie pin; a tiara; a diadem; a crucifix; a
    Star of David pendant; a hamsa; prayer beads; a shark-tooth pendant; a bullet pendant; a dog tag; a
    skull ring; a jade pendant; amber beads; a torc; coral beads; a safety pin; chandelier earrings; drop
    earrings; clip-on earrings; a lip ring; ear gauges; a nose ring; an anklet; a pocket watch; a Rolex
""")
MOODS = _list("""
    wistful; melancholy; serene; pensive; haunted; weary; exhausted; dead tired; deadpan; stern; severe;
    grim; bleak; sombre; sullen; moody; brooding; angry; furious; enraged; indignant; defiant; stubborn;
    proud; haughty; smug; cocky; mischievous; coy; flirty; shy; bashful; embarrassed; blushing; ecstatic;
    joyful; gleeful; amused; laughing till she cries; dying of laughter; killing time; bored to death;
    scared to death; frightened; startled; shocked; stunned; awestruck; drop-dead gorgeous; strikingly
    handsome; arresting; captivating; disarming; intoxicating; passionate; intense; violent storm of
    feelings in the eyes; tortured artist mood; tender; loving; affectionate; hopeful; yearning; longing;
    lonely; grieving; mourning; heartbroken; heart-stopping; raw; vulnerable; naked honesty; bare;
    unguarded; sultry summer air; steamy glasses; hot and bothered; cool; aloof; icy; stone-faced;
    poker-faced; dreamy; sleepy; hungover; contemplative; curious; sceptical; suspicious; sly; cunning;
    wicked grin; devilish; angelic; saintly; hard-bitten; battle-weary
""")
# What a novelist adds: lives, times and scars.
LIVES = _list("""
    married for 15 years; married at seventeen, now widowed at ninety; a widower for three years; ten
    years of experience; with 12 years in the navy; after 17 years at sea; five years sober; two years
    into retirement; six months pregnant; eight weeks after the harvest; after three days without sleep;
    after twelve hours of work; on his seventh coffee; a father of four; a mother of three; a grandmother
    of nine; a grandfather of twelve; an aunt to six nephews; an only child, now 40; the youngest of five
    brothers, now 62; the eldest of seven; a twin; raised by two aunts; a former child actor, now 55; a
    childhood friend of the painter; a survivor of a shipwreck; a cancer survivor; back from the war; a
    veteran of two wars; a deserter; a refugee; an exile; an immigrant's daughter, aged 44; a suspect in a
    crime novel; under police escort; a fan of John Lee Hooker; a devotee of Bloody Mary cocktails; a
    lover of Killer Queen; Spic and Span in his uniform; a bit of a dark horse; with a scar from a bicycle
    accident; with a broken nose; with a black eye patch; with a lazy eye; with crow's feet; with laughter
    lines; with sunburnt cheeks; with freckles; with a cleft chin; with a double chin; with a gap in the
    teeth; with a gold tooth; with jug ears; with cauliflower ears; with a Roman nose; with high
    cheekbones; with hollow cheeks; with calloused hands; with ink-stained fingers; with flour on the
    chin; with soot on the brow; with tears of joy; with blood-shot eyes; with cold blue eyes; with a
    blood orange in hand; with a cut-glass accent; with a stiff upper lip; who has shot three films; who
    shoots weddings; who kills it on stage; who hangs paintings; who hangs around; who cuts hair; who
    strips paint; who strips furniture; who beats eggs; who beats drums; who whips cream; who blows glass;
    who fires clay; who was bombed with questions; who drowns in paperwork
""")
AGES = _list("""
    a twenty-one-year-old; a twenty one year old; a thirty-five-year-old; a forty-year-old; a 21-year-old;
    a 45 year old; a sixty-seven-year-old; a hundred-year-old; a one-hundred-and-two-year-old; an
    eighty-something; a thirtysomething; a woman of forty; a man of 62; a person (34); a woman (51); a
    man, 47,; a woman, 29,; a 30-ish; a man in his fifties; a woman in her late twenties; a woman in her
    mid-30s; a middle-aged; an elderly; an old; an ageing; a mature; a silver-haired; an adult; a young
    adult; a grown man; a grown woman; a man aged 53; a woman aged forty-two; a youthful sixty-year-old; a
    70-year-young; a gentleman of a certain age; a lady of ninety; a fiftyish; an octogenarian; a
    nineteen-year-old; an eighteen-year-old; a man of eighteen years; a twenty-year-old; a man just turned
    30; a pensioner
""")
BACKGROUNDS = _list("""
    a brick wall; a butcher's shop; a book-lined study; a rose garden; a flower bed; a four-poster bed; a
    bathroom mirror; a bath house facade; a wet street; a harbour; a shipyard; a shooting range; a hunting
    lodge; a cemetery; a graveyard; a morgue corridor; a battlefield memorial; a war memorial; a bomb
    shelter turned museum; a cold war bunker; a prison yard; a court room; a boxing ring; a bull ring; a
    circus tent; a carnival; a strip of neon; the Las Vegas Strip; a strip mall; a bar; a pub; a wine
    cellar; a brewery; a coffee house; a kitchen; a bakery; a playground; a schoolyard; a nursery of
    ferns; a toy shop; a zoo; a monkey house; a goat shed; a cow shed; a stable; a barn; a corn field; a
    vineyard; a lava field; a glacier; a cliff edge; a bridge; a subway; a bus stop; a barber shop; a
    beauty salon; a massage table; a gym; a locker room; a theatre dressing room; a recording studio; a
    nightclub; a casino; a library; a laboratory; an operating theatre; a child's drawing on the wall; a
    chalkboard
""")
WORD_LISTS: Mapping[str, Sequence[str]] = {
    "profession": PROFESSIONS,
    "clothing": CLOTHING,
    "light": LIGHTING,
    "camera": CAMERA,
    "artist": ARTISTS,
    "place": PLACES,
    "first": FIRST_NAMES,
    "surname": SURNAMES,
    "hobby": HOBBIES,
    "hair": HAIR,
    "make_up": MAKE_UP,
    "jewellery": JEWELLERY,
    "mood": MOODS,
    "life": LIVES,
    "age": AGES,
    "background": BACKGROUNDS,
}
_TEMPLATES = (
    "portrait of {age} {profession} from {place}, {hair}, {make_up}, {light}, {camera}",
    "{camera}: {first} {surname}, {profession}, in {clothing}, {mood}, {light}",
    "{age} {profession}, {life}, wearing {clothing} and {jewellery}, in front of {background}",
    "a {mood} {profession} with {hair} and {jewellery}, {light}, in the style of {artist}",
    "oil painting after {artist} of {first} {surname}, {life}, {mood}, {light}",
    "{first} {surname} of {place}, who loves {hobby}, {life}, {hair}, {camera}",
    "photo of {age} person, {make_up}, {jewellery}, {clothing}, {background} behind, {light}, {camera}",
    "the face of {profession} {first} {surname}, {mood}, {hair}; {hobby} on the weekend; {background}",
    "head and shoulders portrait, {age} {profession}, {mood} expression, {make_up}, {clothing}",
    "{artist} meets {artist}: {profession} in {place}, {clothing}, {hair}, {mood}, {camera}",
)


def make_ordinary(number: int, seed: int) -> Iterator[str]:
    """Yield prompts of adults' faces, each word of a list as often as the others."""
    draws, decks = random.Random(seed), dict[str, list[str]]()

    def draw(name: str) -> str:
        if not decks.get(name):
            decks[name] = draws.sample(WORD_LISTS[name], len(WORD_LISTS[name]))
        return decks[name].pop()

    for place in range(number):
        template, parts = _TEMPLATES[place % len(_TEMPLATES)], list[str]()
        for part in template.split("{"):
            name, closing, rest = part.partition("}")
            parts += [draw(name), rest] if closing else [part]
        yield "".join(parts)
