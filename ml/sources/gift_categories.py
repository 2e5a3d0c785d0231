"""What kind of gift a title names. The invoices of `online_retail_uci` have no category, so it is read off the title.

The first group with a word in the title wins, so occasions come before kinds of thing ("christmas mug" sells with
Christmas, not with mugs), and narrow kinds before wide ones.
"""

from __future__ import annotations

import re

_GROUPS: dict[str, str] = {
    "christmas": "christmas xmas advent santa reindeer snowflake snowman noel bauble stocking mistletoe sleigh"
    " nativity rudolph tinsel snowy angel winter",
    "easter": "easter egg bunny chick rabbit",
    "valentine": "valentine cupid sweetheart love",
    "halloween": "halloween pumpkin creepy bat witch skull",
    "warmers": "hottie warmer hot-water-bottle water-bottle scarf glove mitten",
    "jewellery": "necklace earring earrings bracelet bangle brooch diamante pendant hair hairclip anklet ring charm"
    " bling jewel jewelled bead beaded beads",
    "lunch and picnic": "lunch picnic snack flask sandwich bottle drink cutlery thermos",
    "baking": "cake cakestand baking fairy-cake petit-four cupcake jelly mould bake cookie rolling pudding flan whisk",
    "bags": "bag handbag purse wallet shopper backpack rucksack tote case satchel luggage passport",
    "party": "party bunting balloon garland paper-chain birthday confetti napkin doily doiley straw cone",
    "cards and wrap": "card wrap gift-tag tag envelope tissue ribbon ribbons postcard invite gift",
    "stationery": "pencil pen notebook journal book sticker stickers tape rubber chalk magnet calendar memo diary ruler"
    " eraser clip stamp organiser paperweight blackboard chalkboard",
    "craft": "sewing felt feltcraft knitting craft button wool reel needle patch embroidery kit wicker cotton yarn",
    "toys and games": "toy doll dolly jigsaw game puzzle skittles block playhouse glider soft-toy dominoes cards yoyo"
    " skipping marble robot soldier teddy ludo snake spaceboy rocket kite bubble",
    "candles": "candle candles t-light t-lights tlight candleholder candlestick incense votive wax oil-burner scented"
    " tealight",
    "lighting": "lantern light lights lamp lampshade chandelier led torch",
    "kitchen": "tea-towel apron oven kitchen recipe jar spoon tea coffee toast pantry scale timer pan chopping bread"
    " biscuit jam colander grater sugar salt pepper cruet spice fridge",
    "tableware": "mug cup saucer plate bowl teapot glass jug tray coaster placemat dish teacup goblet tumbler dinner"
    " cutlery plates platter decanter butter crockery",
    "storage": "box boxes tin tins basket drawer cabinet storage rack holder trinket tidy bin chest suitcase crate",
    "signs": "sign plaque doormat letter letters number alphabet metal-sign",
    "frames and clocks": "frame mirror photo picture clock wall-art art canvas poster print",
    "textiles": "cushion throw quilt blanket doorstop rug towel curtain bedding pillow table-cloth tablecloth cover",
    "hardware": "knob hook hanger handle door key keyring bell coat latch",
    "garden": "garden parasol watering plant planter pot bird birdhouse herb thermometer seeds nesting trellis windmill"
    " fork trowel gardener bucket",
    "umbrellas": "umbrella rain raincoat poncho",
    "bathroom": "soap bath bathroom toilet cosmetic wash sponge shower talcum perfume lip",
    "flowers": "flower flowers rose daisy blossom lavender wreath tulip poppy bouquet orchid",
    "decorations": "decoration hanging heart hearts mobile ornament star tree figurine butterfly fairy zinc",
}
OTHER = "other gifts"


def _pattern(words: str) -> re.Pattern[str]:
    parts = (re.escape(word).replace(r"\-", r"[- ]") for word in words.split())
    return re.compile(rf"(?<![A-Z])(?:{'|'.join(parts)})(?:E?S)?(?![A-Z])", re.IGNORECASE)


_PATTERNS = {name: _pattern(words) for name, words in _GROUPS.items()}


def category(title: str) -> str:
    """The first group that has a word (or its plural) in the title; "other gifts" if none has."""
    return next((name for name, pattern in _PATTERNS.items() if pattern.search(title)), OTHER)
