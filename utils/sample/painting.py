"""The painter: one function per part of the face, each for many faces at once.

A face is painted in its own coordinates: x to the viewer's right and y down, the eyes at about
(±0.35, -0.1), the mouth at (0, 0.5), the chin at y = 1. A part is a coverage in 0 … 1, made from
distances and polynomials and blended into the picture; edges are one pixel wide.

Only +, -, ×, ÷, √, floor and comparisons are used, in float32 and element by element. IEEE 754
rounds each of them in exactly one way, so the pixels are the same on every machine.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

DARK = (0.10, 0.07, 0.06)
WHITE = (0.95, 0.94, 0.92)
MOUTH = (0.30, 0.07, 0.08)
TONGUE = (0.74, 0.34, 0.34)


class Face:
    """The coordinates of one painting of n people, used by all parts.

    `frame_x` and `frame_y` (n or 1, height, width) say where each pixel, of size `pixel`, is in the
    frame, which runs from -1 to 1 along its shorter side; `people` and `pose` come from
    `people.draw_people` and `rows.draw_pose`, `units` (n, 28) are action units. All float32.
    """

    def __init__(self, frame_x, frame_y, pixel, people, units, pose) -> None:
        self.people, self.pose, self._units = people, pose, units
        across, down = frame_x - pose.x, frame_y - pose.y
        self.u = (across * pose.cosine + down * pose.sine) * pose.scale
        self.v = (down * pose.cosine - across * pose.sine) * pose.scale
        self.edge = np.float32(1) / (pose.scale * np.float32(pixel))
        wide = self.u / people.width
        bulge = np.maximum(1 - 0.45 * (wide * wide + self.v * self.v), 0)
        self.x = self.u - pose.turn * bulge
        self.y = self.v - pose.nod * bulge
        self.side = np.where(self.x < 0, np.float32(-1), np.float32(1))
        self.away = np.abs(self.x)
        self.drop = 0.10 * self.au(26) + 0.20 * self.au(27)

    def au(self, unit: int) -> np.ndarray:
        """How strongly this action unit is moved, (n, 1, 1)."""
        return self._units[:, unit, None, None]

    def inside(self, distance: np.ndarray) -> np.ndarray:
        """Coverage of where `distance` (in face units) is negative."""
        return np.clip(0.5 - distance * self.edge, 0, 1)

    def band(self, y: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
        """Coverage of what is below one curve and above another."""
        below = np.clip((y - top) * self.edge + 0.5, 0, 1)
        return below * np.clip((bottom - y) * self.edge + 0.5, 0, 1)

    def stroke(self, distance: np.ndarray, half: np.ndarray | float) -> np.ndarray:
        """Coverage of a line of this half width; thinner than a pixel, it fades instead."""
        drawn = np.clip((half - np.abs(distance)) * self.edge + 0.5, 0, 1)
        return drawn * np.minimum(1, 2 * half * self.edge)

    def ellipse(self, x, y, wide, high) -> np.ndarray:
        """Coverage of an ellipse about (0, 0)."""
        radius = np.sqrt((x / wide) * (x / wide) + (y / high) * (y / high))
        return self.inside((radius - 1) * np.minimum(wide, high))


def soft(x, y, wide, high) -> np.ndarray:
    """Make a soft spot about (0, 0): 1 at its center, 0 from its rim outward."""
    spot = np.maximum(1 - (x / wide) * (x / wide) - (y / high) * (y / high), 0)
    return spot * spot


def hump(x: np.ndarray) -> np.ndarray:
    """1 at 0, falling to 0 at ±1."""
    return np.maximum(1 - x * x, 0)


def waves(x: np.ndarray) -> np.ndarray:
    """Draw a zigzag between -1 and 1 with period 1."""
    return np.abs(x - np.floor(x) - 0.5) * 4 - 1


def paint(pixels: np.ndarray, coverage: np.ndarray, color, texture: np.ndarray | float = 1) -> None:
    """Lay a color, (3,) or (n, 3), over pictures: (1 or 3 channels, n, height, width) in 0 … 1."""
    tones = np.moveaxis(np.asarray(color, np.float32), -1, 0)[..., None, None]
    if len(pixels) == 1:
        red, green, blue = tones
        tones = [red * np.float32(0.299) + green * np.float32(0.587) + blue * np.float32(0.114)]
    for channel, tone in zip(pixels, tones, strict=True):
        channel += coverage * (tone * texture - channel)


def shade(pixels: np.ndarray, amount: np.ndarray) -> None:
    """Darken pictures by this fraction, or brighten where it is negative."""
    pixels *= 1 - amount


def paint_person(pixels: np.ndarray, face: Face) -> None:
    """Paint entire people over what is there, from back to front."""
    paint_behind(pixels, face)
    who = face.people
    down = np.clip(face.v, 0, 1)
    wide = face.u / (who.width * (1 - who.taper * down * down))
    high = face.v / np.where(face.v < 0, np.float32(1.08), who.chin + face.drop)
    wide, high = wide * wide, high * high
    square = np.where(face.v < 0, np.float32(0.2), who.jaw)
    radius = np.sqrt(np.maximum(wide + high - square * wide * high, 0))
    outer = np.maximum(wide, high) > 1.6  # where the square term would turn the outline inside out
    head = np.where(outer, np.float32(1), (radius - 1) * 0.8)  # face units outside the outline
    skin = face.inside(head)
    paint(pixels, skin, who.skin)
    shade_skin(pixels, face, skin)
    paint_beard(pixels, face, skin)
    shade_folds(pixels, face)
    paint_nose(pixels, face)
    paint_mouth(pixels, face)
    paint_eyes(pixels, face)
    paint_brows(pixels, face)
    slant = face.pose.light_x * face.u + face.pose.light_y * face.v
    rim = np.clip(1 + head / 0.45, 0, 1)
    shade(pixels, skin * (0.30 * rim * rim - slant))  # lit from one side, and rounded off
    paint_hair(pixels, face, skin)
    paint_glasses(pixels, face)


def hair_texture(face: Face) -> np.ndarray:
    """Make streaks that follow the head."""
    who = face.people
    across = face.u * who.hair_waves * 0.5
    return 1 + 0.10 * waves(across + 0.35 * face.v) + 0.10 * waves(across * 0.37 - 0.5 * face.v)


def hair_outline(face: Face) -> tuple[np.ndarray, np.ndarray]:
    """Measure how wide the hair is at each height, and how far each pixel is outside its crown."""
    who = face.people
    full = np.where(who.hair_length > 0.2, np.float32(1), np.clip(-1.7 * face.v - 0.1, 0, 1))
    reach = who.width + who.hair_volume * full
    across, up = face.u / reach, (face.v + 0.15) / (0.94 + who.hair_volume)
    return reach, np.sqrt(across * across + up * up) - 1


def paint_behind(pixels: np.ndarray, face: Face) -> None:
    """Paint what is behind the face: hair, shoulders, a neck in the chin's shadow, two ears."""
    who = face.people
    reach, crown = hair_outline(face)
    ends = who.hair_length - 0.5 * face.u * face.u + 0.04 * waves(face.u * 3)
    fall = np.maximum(np.abs(face.u) - reach - 0.06 * face.v, face.v - ends)
    worn = face.inside(np.where(face.v < -0.15, crown, fall)) * (who.hair_line > -1.5)
    paint(pixels, worn, who.hair, 0.85 * hair_texture(face))
    down = face.v - who.chin
    paint(pixels, face.ellipse(face.u, np.minimum(face.v - 2.15, 0), 1.45, 0.95), who.clothes)
    neck = face.inside(np.maximum(np.abs(face.u) - 0.62 * who.width, 0.3 - face.v))
    neck = neck * face.inside(down - 0.36 + 0.3 * face.u * face.u)
    paint(pixels, neck, who.skin, 0.62 + 0.3 * np.clip(down * 3, 0, 1))
    outward = np.abs(face.u + face.pose.turn * 0.35) - who.width * 1.0  # the far one hides
    ear = face.ellipse(outward, face.v - 0.02, 0.10, 0.20) * (who.hair_length < 0.2)
    paint(pixels, ear, who.skin, 0.80 + 0.10 * hump(outward * 12 - 0.4))


def shade_skin(pixels: np.ndarray, face: Face, skin: np.ndarray) -> None:
    """Model sockets, cheeks, forehead and chin in broad soft light and shadow."""
    who = face.people
    away, x, y = face.away - who.eye_gap, face.x, face.y
    cheek = 0.10 + 0.16 * face.au(6) + 0.08 * face.au(12)
    raised = 0.30 - 0.08 * face.au(6)
    shadow = 0.20 * soft(away + 0.02, y + 0.13, 0.30, 0.24)
    shadow -= cheek * soft(away - 0.08, y - raised, 0.26, 0.20)
    shadow -= 0.08 * soft(x, y + 0.62, 0.5, 0.35)
    shadow -= (0.08 + 0.12 * face.au(17)) * soft(x, y - who.chin + 0.14 - face.drop, 0.2, 0.14)
    shadow += 0.18 * soft(x, y - 0.71 - 0.75 * face.drop, 0.2, 0.07)
    shadow += 0.10 * face.au(15) * soft(face.away - who.mouth_width - 0.06, y - 0.66, 0.10, 0.14)
    shade(pixels, shadow * skin)


def paint_beard(pixels: np.ndarray, face: Face, skin: np.ndarray) -> None:
    """Paint a beard along the jaw and a mustache; the mouth is painted over them later."""
    who = face.people
    line = 0.72 - 1.15 * face.away * face.away * (1 + 0.6 * face.away) + 0.5 * face.drop
    cheeks = np.clip((face.y - line) * 6, 0, 1)
    sides = np.clip((face.away - 0.58 * who.width) * 7, 0, 1) * np.clip((face.y - 0.02) * 5, 0, 1)
    grain = 1 + 0.12 * waves(face.u * 7 + face.side * face.v * 2)
    paint(pixels, who.beard * np.maximum(cheeks, sides) * skin, who.hair, grain)
    lip = mouth_curves(face).lip_top - 0.02
    bar = face.band(face.y, lip - 0.075 * hump(face.x / 0.30), lip + 0.03)
    paint(pixels, who.moustache * bar * (face.away < 0.30), who.hair, grain)


def shade_folds(pixels: np.ndarray, face: Face) -> None:
    """Draw the lines that a moving face folds into, deeper with age."""
    who = face.people
    x, y, away, au = face.x, face.y, face.away, face.au
    rest = 0.10 * who.age
    dark = np.zeros_like(face.u)
    # from the nose's wing around the corner of the mouth (AU 9, 10, 12)
    deep = rest + 0.42 * np.maximum(au(12), np.maximum(au(9), au(10))) + 0.15 * au(20)
    along = (y - 0.22) / 0.36
    fold = who.nose_width + 0.05 + (0.17 + 0.09 * au(12) + 0.05 * au(10)) * along
    fold = fold + 0.10 * hump(2 * along - 1) * au(12)
    dark += deep * face.stroke(away - fold, 0.016) * hump(2 * along - 1)
    # across the forehead (AU 1, 2)
    raised = np.minimum(1, 0.5 * au(1) + 0.5 * au(2)) * (0.35 + 0.5 * who.age)
    for level in (0.17, 0.27):
        line = who.brow_height - level + 0.05 * away - 0.06 * au(2) * hump(away / 0.4)
        dark += (raised + 0.6 * rest) * face.stroke(y - line, 0.011) * hump(x / 0.46)
    # between the brows (AU 4)
    height = hump((y - who.brow_height - 0.05) / 0.12)
    frown = face.stroke(away - 0.045 - 0.15 * (y + 0.3), 0.012)
    dark += 0.5 * (au(4) + 0.4 * rest) * frown * height
    # across the root of the nose (AU 9)
    for level in (0.13, 0.03):
        line = -level - 0.7 * away
        dark += 0.5 * au(9) * face.stroke(y - line, 0.016) * hump(x / 0.15)
    # crow's feet and the bag below the eye (AU 6)
    outer = away - who.eye_gap - who.eye_width
    for slope in (-0.55, 0.0, 0.55):
        ray = hump((outer - 0.11) / 0.08)
        dark += (0.5 * rest + 0.5 * au(6)) * face.stroke(y + 0.09 - slope * outer, 0.010) * ray
    bag = (away - who.eye_gap) / (who.eye_width * 1.1)
    lower = 0.05 + 0.05 * hump(bag) - 0.05 * au(6)
    dark += (rest + 0.42 * au(6) + 0.22 * au(7)) * face.stroke(y - lower, 0.012) * hump(bag)
    shade(pixels, np.minimum(dark, 0.7))


def paint_nose(pixels: np.ndarray, face: Face) -> None:
    """Paint bridge, tip, wings and nostrils; the nose stands out, so it moves most in a turn."""
    who, au = face.people, face.au
    x = face.x - 0.35 * face.pose.turn * hump((face.y - 0.2) / 0.5)
    away = np.abs(x)
    tip = who.nose_length - 0.05 * au(9) - 0.015 * au(10)
    wing = who.nose_width * (1 + 0.22 * au(9) + 0.08 * au(10) + 0.08 * au(12))
    down = np.clip((face.y + 0.2) / (tip + 0.2), 0, 1)
    side = hump((away - 0.07 - 0.05 * down) / 0.05) * hump((face.y - tip * 0.45) / 0.30)
    lit = np.where(x * face.pose.light_x < 0, np.float32(0.20), np.float32(0.03))
    shade(pixels, lit * side)
    shade(pixels, -0.16 * soft(x, face.y - tip + 0.05, 0.08, 0.12))
    shade(pixels, -0.10 * soft(x, face.y - tip * 0.3, 0.04, 0.30))
    shade(pixels, 0.25 * soft(x, face.y - tip - 0.07, wing * 1.2, 0.06))
    curve = (away - wing * 0.72) / (wing * 0.36)
    rim = tip + 0.035 - 0.06 * hump(curve) - 0.03 * au(9)
    shade(pixels, 0.40 * face.stroke(face.y - rim, 0.014) * hump(curve) * (curve > -0.4))
    nostril = face.ellipse(away - 0.52 * wing, face.y - tip - 0.02, 0.30 * wing, 0.024)
    shade(pixels, 0.66 * nostril)


def mouth_curves(face: Face) -> SimpleNamespace:
    """Find where the lips run at each pixel's x: the mouth's curves, from top to bottom."""
    who, au = face.people, face.au
    half = who.mouth_width + 0.13 * au(12) + 0.11 * au(20) - 0.05 * au(23) - 0.03 * au(24)
    half = half - 0.09 * au(26) * (1 - np.minimum(1, au(12))) - 0.12 * au(27) + 0.02 * au(15)
    along = face.x / half
    arch = hump(along)
    box = hump(along * along)  # a squarer opening: smiles, and lips stretched by fear
    middle = 0.53 + 0.02 * au(12) - 0.03 * au(10) - 0.03 * au(17) - 0.02 * au(9)
    corner = -0.17 * au(12) + 0.13 * au(15) + 0.05 * au(20) + 0.09 * au(10)
    skew = 0.02 * face.pose.turn
    line = middle + corner * along * along + skew * along
    thin = np.maximum(1 - 0.45 * au(23) - 0.45 * au(24) - 0.3 * au(20), 0.2)
    squared = np.minimum(1, au(12) + au(20) + 2 * au(10) + au(16))
    parted = (arch + squared * (box - arch)) * (0.09 + 0.08 * au(12)) * au(25)
    dropped = np.sqrt(arch) * (0.22 * au(26) + 0.36 * au(27))
    gap = parted + dropped + 0.04 * au(16) * box
    lifted = 0.06 * au(10) * np.minimum(1, au(25) + au(16) + 0.4)
    top = line - (0.22 + 0.2 * au(20)) * parted
    top = top - 0.3 * dropped * (1 - 0.7 * np.minimum(1, au(12))) - lifted * 0.5 * box
    bottom = top + gap + lifted * 0.5 * box + 0.03 * au(16) * box
    bow = arch * (1 - 0.22 * hump(face.x / 0.07))
    return SimpleNamespace(
        half=half,
        along=along,
        line=line,
        lip_top=top - who.upper_lip * thin * bow - 0.02 * au(10) * arch,
        top=top,
        bottom=bottom,
        lip_bottom=bottom + (who.lower_lip + 0.02 * au(17)) * thin * arch + 0.001,
    )


def paint_mouth(pixels: np.ndarray, face: Face) -> None:
    """Paint lips, and behind them the dark of the mouth, the teeth and the tongue."""
    who, au, curve = face.people, face.au, mouth_curves(face)
    x, y = face.x, face.y
    within = face.inside(np.abs(x) - curve.half)
    paint(pixels, within * face.band(y, curve.lip_top, curve.top), who.lips, 0.86)
    shine = 1 + 0.18 * soft(x, y - curve.bottom - 0.03, 0.14, 0.03)
    paint(pixels, within * face.band(y, curve.bottom, curve.lip_bottom), who.lips, shine)
    open_now = within * np.clip((curve.bottom - curve.top) / 0.02, 0, 1)
    gape = open_now * face.band(y, curve.top, curve.bottom)
    paint(pixels, gape, MOUTH)
    paint(pixels, gape * soft(x, y - curve.bottom - 0.02, 0.24, 0.12), TONGUE)
    shown = np.minimum(0.095, 0.035 + 0.07 * au(12) + 0.03 * au(10) + 0.02 * au(20))
    upper = face.band(y, curve.top, curve.top + shown)
    paint(pixels, gape * upper * hump(curve.along * 0.85), WHITE, 0.95)
    lower = face.band(y, curve.bottom - 0.6 * shown, curve.bottom)
    bared = np.minimum(1, au(20) + au(16))
    paint(pixels, gape * lower * hump(curve.along) * bared, WHITE, 0.85)
    closed = within * (1 - open_now) * face.stroke(y - curve.line, 0.014)
    shade(pixels, (0.62 + 0.2 * np.minimum(1, au(23) + au(24))) * closed)
    pit = soft(face.away - curve.half - 0.01, y - curve.line, 0.055, 0.05)
    shade(pixels, (0.22 + 0.25 * au(12) + 0.25 * au(15)) * pit)


def paint_eyes(pixels: np.ndarray, face: Face) -> None:
    """Paint both eyes: the opening between two lids, and the iris that they cover or expose."""
    who, au, y = face.people, face.au, face.y + 0.10
    along = (face.away - who.eye_gap) / who.eye_width  # -1: inner corner, 1: outer
    arch = hump(along)
    tilt = -who.eye_tilt * along + 0.035 * au(1) * au(4) * along
    droop = np.maximum(along, 0) * 0.03 * au(15)
    upper = who.eye_open * (1 - 0.30 * au(7) - 0.28 * au(6) - 0.25 * au(9) - 0.12 * au(15))
    upper = np.maximum(upper + 0.062 * au(5) + 0.012 * au(1) - 0.012 * au(4), 0.018)
    lower = 0.045 - 0.035 * au(7) - 0.062 * au(6) - 0.035 * au(9) + 0.012 * au(5)
    flat = hump(along * along)
    top = tilt + droop - upper * (arch + 0.35 * np.minimum(au(5), 1) * (flat - arch))
    bottom = np.maximum(tilt + lower * arch, top + 0.012)
    within = face.inside((np.abs(along) - 1) * who.eye_width)
    opening = within * face.band(y, top, bottom)
    paint(pixels, opening, WHITE, 0.97 - 0.18 * np.clip((top + 0.03 - y) * 20, 0, 1))
    gaze = face.side * (face.away - who.eye_gap) - 0.25 * face.pose.turn
    level = y + 0.012 - 0.15 * face.pose.nod
    paint(pixels, opening * face.ellipse(gaze, level, 0.075, 0.075), who.iris, 0.8)
    paint(pixels, opening * face.ellipse(gaze, level, 0.038, 0.038), DARK, 0.4)
    paint(pixels, opening * face.ellipse(gaze + 0.025, level + 0.028, 0.02, 0.02), WHITE)
    lash = within * face.stroke(y - top, 0.017)
    shade(pixels, 0.72 * lash)
    shade(pixels, 0.30 * within * face.stroke(y - bottom, 0.010))
    crease = top - 0.05 + 0.02 * au(5) + 0.02 * along * along
    shade(pixels, 0.26 * hump(along * 0.9) * face.stroke(y - crease, 0.012))


def paint_brows(pixels: np.ndarray, face: Face) -> None:
    """Paint both brows, thick at the nose and thin at the temple."""
    who, au = face.people, face.au
    inward = 0.055 * au(4) + 0.02 * au(9)
    along = (face.away - who.eye_gap + inward) / (who.eye_width * 1.28)  # -1: inner, 1: outer
    inner, outer = np.clip((1 - along) * 0.5, 0, 1), np.clip((1 + along) * 0.5, 0, 1)
    y = who.brow_height - who.brow_arch * hump(along - 0.25)
    y = y + 0.07 * au(4) * (1 - 0.6 * np.minimum(1, au(1)))
    y = y + 0.10 * au(4) * (1 - np.minimum(1, au(1))) * inner
    y = y - 0.18 * au(1) * inner * (0.35 + 0.65 * inner) + 0.05 * au(1) * au(4) * outer
    y = y - 0.15 * au(2) * (outer + 0.35 * hump(along))
    y = y + 0.07 * au(9) * (1 - 0.4 * outer) - 0.02 * au(5)
    half = who.brow_thickness * (1 - 0.55 * outer * outer) * (1 + 0.15 * au(4))
    hair = face.stroke(face.y - y, half) * face.inside((np.abs(along) - 1) * who.eye_width)
    grain = 0.74 + 0.06 * waves(face.away * 14 + face.y * 6)
    paint(pixels, 0.9 * hair, who.hair * np.float32(0.8), grain)
    shade(pixels, 0.10 * face.au(4) * soft(along + 0.3, face.y - y - 0.06, 0.9, 0.09))


def paint_hair(pixels: np.ndarray, face: Face, skin: np.ndarray) -> None:
    """Paint the hair in front: everything of the crown above the hairline."""
    who = face.people
    reach, crown = hair_outline(face)
    across = face.x - 0.15 * face.pose.turn
    line = who.hair_line + who.hair_curve * across * across + who.hair_part * across * 0.5
    line = line + who.fringe * waves(across * 5) - 0.25 * face.pose.nod
    line = line + 0.012 * waves(across * who.hair_waves * 0.7)
    # what falls in front of the ears
    sides = np.abs(face.u) - (0.90 - 0.25 * who.hair_volume) * who.width
    line = np.maximum(line, np.where(sides > 0, who.hair_length - 0.2, line))
    low = np.minimum(who.hair_length, 0.15)
    cover = face.inside(crown) * face.inside(face.v - np.minimum(line, low))
    shade(pixels, 0.25 * skin * np.clip(1 - (face.v - line) * 9, 0, 1) * (who.hair_line > -1.5))
    cover = cover * (who.hair_line > -1.5)
    paint(pixels, cover, who.hair, hair_texture(face))
    strands = 0.55 + 0.45 * waves(face.u * who.hair_waves * 0.6 - 0.3 * face.v)
    shine = soft(face.u - face.pose.light_x, face.v + 0.9 - 0.5 * face.u * face.u, 0.75, 0.16)
    paint(pixels, 0.38 * cover * shine * strands, 0.45 + 0.55 * who.hair)
    shade(pixels, 0.35 * cover * np.clip((np.abs(face.u) / reach - 0.72) * 3, 0, 1))


def paint_glasses(pixels: np.ndarray, face: Face) -> None:
    """Paint two frames, a bridge and the temples, where glasses are worn."""
    who = face.people
    wide, high = 0.255, 0.20
    x, y = (face.away - who.eye_gap) / wide, (face.y + 0.075) / high
    square = x * x + y * y - 0.55 * x * x * y * y
    near = (np.abs(x) < 1.2) & (np.abs(y) < 1.2)
    ring = face.stroke((np.sqrt(np.maximum(square, 0)) - 1) * high, 0.020) * near
    bridge = face.stroke(face.y + 0.11, 0.018) * (face.away < who.eye_gap - wide)
    temple = face.stroke(face.y + 0.12, 0.018) * (face.away > who.eye_gap + wide)
    temple = temple * (np.abs(face.u) < who.width)
    lens = (square < 1) & near
    shade(pixels, -0.10 * who.glasses * lens * soft(x + 0.3, y + 0.3, 0.9, 0.9))
    frame = np.maximum(ring, np.maximum(bridge, temple)) * who.glasses
    paint(pixels, 0.92 * frame, DARK)
