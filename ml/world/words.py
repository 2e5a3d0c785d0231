"""What the shop sells, in words: categories with their nouns, prices and habits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Category:
    """One shelf of the shop.

    `price` is the median list price; `season` the amplitude of the yearly cycle and the day of the year of its peak;
    `weekend` the factor on Saturdays and Sundays; `growth` the yearly growth; `returned` the share of lines sent back.
    """

    name: str
    nouns: tuple[str, ...]
    price: float
    season: tuple[float, int]
    weekend: float
    growth: float
    returned: float
    share: float = 1.0


CATEGORIES: tuple[Category, ...] = (
    Category("Decorations", ("Garland", "Bunting", "Wreath", "Ornament", "Candle Holder", "Banner"), 9, (0.25, 330),
             1.2, 0.08, 0.03, 1.4),
    Category("Toys", ("Puzzle", "Building Set", "Teddy", "Race Car", "Doll House", "Board Game"), 16, (0.2, 340),
             1.3, 0.1, 0.03, 1.2),
    Category("Kitchen", ("Mug", "Mixing Bowl", "Tea Towel", "Cake Stand", "Lunch Box", "Apron"), 12, (0.1, 300),
             1.1, 0.04, 0.02, 1.3),
    Category("Garden", ("Planter", "Watering Can", "Bird Feeder", "Trowel", "Lantern", "Seed Tray"), 14, (0.5, 150),
             1.4, 0.05, 0.02),
    Category("Stationery", ("Notebook", "Pencil Case", "Planner", "Marker Set", "Backpack", "Ruler"), 7, (0.15, 240),
             0.8, 0.02, 0.01),
    Category("Jewellery", ("Necklace", "Bracelet", "Earrings", "Ring", "Brooch", "Watch"), 34, (0.1, 20), 1.1, 0.06,
             0.06, 0.8),
    Category("Clothing", ("Scarf", "Jumper", "T-Shirt", "Socks", "Raincoat", "Gloves"), 24, (0.3, 320), 1.1, 0.12,
             0.1, 1.3),
    Category("Books", ("Picture Book", "Cookbook", "Novel", "Activity Book", "Atlas", "Diary"), 11, (0.1, 350), 0.95,
             0.0, 0.02),
    Category("Electronics", ("Headphones", "Speaker", "Charger", "Smart Plug", "Camera", "Keyboard"), 49, (0.1, 340),
             1.0, 0.15, 0.05, 0.9),
    Category("Sports", ("Yoga Mat", "Water Bottle", "Dumbbell", "Tennis Set", "Running Belt", "Football"), 19,
             (0.2, 170), 1.2, 0.1, 0.04),
    Category("Beauty", ("Hand Cream", "Bath Salts", "Soap Set", "Perfume", "Face Mask", "Hair Brush"), 15, (0.08, 120),
             1.0, 0.08, 0.02),
    Category("Confectionery", ("Chocolate Box", "Fudge", "Lollipop", "Biscuit Tin", "Marzipan", "Toffee"), 6,
             (0.12, 345), 1.1, 0.03, 0.01),
    Category("Lighting", ("Fairy Lights", "Table Lamp", "Night Light", "Tealight", "Pendant", "Torch"), 22, (0.35, 345),
             1.05, 0.05, 0.04, 0.8),
    Category("Bedding", ("Pillow", "Blanket", "Duvet Cover", "Throw", "Bed Sheet", "Cushion"), 29, (0.25, 10), 1.15,
             0.05, 0.06, 0.8),
    Category("Pets", ("Dog Lead", "Cat Toy", "Pet Bowl", "Dog Bed", "Scratching Post", "Bird Swing"), 13, (0.05, 100),
             1.0, 0.12, 0.03, 0.7),
    Category("Gift Wrap", ("Gift Bag", "Wrapping Paper", "Ribbon Set", "Greeting Card", "Gift Box", "Tag Set"), 4,
             (0.2, 340), 0.9, 0.0, 0.01),
)  # fmt: skip

STYLES = (
    "Vintage",
    "Classic",
    "Mini",
    "Rustic",
    "Modern",
    "Floral",
    "Striped",
    "Handmade",
    "Retro",
    "Spotty",
)
COLOURS = ("Red", "Blue", "Ivory", "Green", "Pink", "Silver", "Black", "Natural", "Gold", "Teal")
MATERIALS = ("Ceramic", "Wooden", "Cotton", "Glass", "Metal", "Paper", "Felt", "Wicker")
BRANDS = (
    "Alder & Finch", "Brightside", "Copperleaf", "Dovetail", "Elmwood", "Foxglove", "Harbour Lane", "Juniper",
    "Kestrel", "Larkspur", "Marlow", "Northfold", "Oakhurst", "Pebble", "Quillon", "Rowanberry",
)  # fmt: skip
