// Pixel operations without a browser's help: the same steps as in utils/faces.py, in the same order.
// A picture is {width, height, channels, data}, data as bytes row by row; a box has left, top,
// right, and bottom in pixel edges.

const { fround } = Math; // OpenCV computes in 32 bits, and exact halves are frequent

// The columns (or rows) that OpenCV's INTER_AREA adds up for each new one, with their weights.
function areaTaps(from, to) {
  const scale = from / to;
  return Array.from({ length: to }, (_, at) => {
    const start = at * scale, end = start + scale, cell = Math.min(scale, from - start);
    const last = Math.min(Math.floor(end), from - 1), first = Math.min(Math.ceil(start), last);
    const taps = [];
    if (first - start > 1e-3) taps.push([first - 1, fround((first - start) / cell)]);
    for (let one = first; one < last; one++) taps.push([one, fround(1 / cell)]);
    if (end - last > 1e-3) taps.push([last, fround(Math.min(end - last, 1, cell) / cell)]);
    return taps;
  });
}

// The same for INTER_CUBIC; beyond the edge, the edge repeats.
function cubicTaps(from, to) {
  const scale = from / to, a = -0.75;
  return Array.from({ length: to }, (_, at) => {
    const place = (at + 0.5) * scale - 0.5, whole = Math.floor(place), x = place - whole;
    const far = (t) => ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
    const near = (t) => ((a + 2) * t - (a + 3)) * t * t + 1;
    const weights = [far(x + 1), near(x), near(1 - x)];
    weights.push(1 - weights[0] - weights[1] - weights[2]);
    const within = (one) => Math.min(Math.max(one, 0), from - 1);
    return weights.map((weight, tap) => [within(whole - 1 + tap), weight]);
  });
}

function resample(picture, width, height, taps) {
  const { width: wide, height: high, channels, data } = picture;
  const across = taps(wide, width), down = taps(high, height);
  const between = new Float32Array(high * width * channels);
  for (let y = 0, out = 0; y < high; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < channels; channel++, out++) {
        let sum = 0;
        for (const tap of across[x]) {
          sum = fround(sum + fround(data[(y * wide + tap[0]) * channels + channel] * tap[1]));
        }
        between[out] = sum;
      }
    }
  }
  // OpenCV rounds halves to even, but up where both sides are halved.
  const nudge = taps === areaTaps && wide === 2 * width && high === 2 * height ? 1e-3 : 0;
  const line = width * channels, result = new Uint8ClampedArray(height * line);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < line; x++) {
      let sum = nudge;
      for (const tap of down[y]) {
        sum = fround(sum + fround(between[tap[0] * line + x] * tap[1]));
      }
      result[y * line + x] = sum; // rounded and clamped by the array
    }
  }
  return { width, height, channels, data: result };
}

// utils.faces.resize: area mean where a side shrinks, then bicubic where one grows.
export function resize(picture, width, height) {
  const narrow = Math.min(picture.width, width), low = Math.min(picture.height, height);
  let result = picture;
  if (narrow !== picture.width || low !== picture.height) {
    result = resample(result, narrow, low, areaTaps);
  }
  return width === narrow && height === low ? result : resample(result, width, height, cubicTaps);
}

// utils.faces.crop: clip the box, grow it to a square, resize; beyond the edge, the edge repeats.
export function crop(picture, box, size, margin) {
  const { width, height, channels, data } = picture;
  let left = Math.max(box.left, 0), top = Math.max(box.top, 0);
  let wide = Math.min(box.right, width) - left, high = Math.min(box.bottom, height) - top;
  left -= wide * margin, top -= high * margin, wide *= 1 + 2 * margin, high *= 1 + 2 * margin;
  const side = Math.max(wide, high);
  left -= (side - wide) / 2, top -= (side - high) / 2;
  const whole = (start, limit) => {
    const first = Math.floor(start + 0.5);
    const count = Math.max(1, Math.floor(side + 0.5));
    return Array.from({ length: count }, (_, at) => Math.min(Math.max(first + at, 0), limit - 1));
  };
  const columns = whole(left, width), rows = whole(top, height);
  const cut = new Uint8Array(rows.length * columns.length * channels);
  let out = 0;
  for (const row of rows) {
    for (const column of columns) {
      for (let channel = 0; channel < channels; channel++) {
        cut[out++] = data[(row * width + column) * channels + channel];
      }
    }
  }
  const square = { width: columns.length, height: rows.length, channels, data: cut };
  return resize(square, size, size);
}

// utils.faces.to_gray: BT.601's luma in Pillow's fixed point.
export function toGray({ width, height, data }) {
  const gray = new Uint8Array(width * height);
  for (let at = 0; at < gray.length; at++) {
    const luma = data[3 * at] * 19595 + data[3 * at + 1] * 38470 + data[3 * at + 2] * 7471;
    gray[at] = (luma + 0x8000) >> 16;
  }
  return { width, height, channels: 1, data: gray };
}

// RGB from a canvas's RGBA.
export function fromRGBA(width, height, rgba) {
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    data[to++] = rgba[from], data[to++] = rgba[from + 1], data[to++] = rgba[from + 2];
  }
  return { width, height, channels: 3, data };
}

// Python's round: a half goes to the even neighbor.
function roundEven(number) {
  const whole = Math.floor(number);
  return number - whole === 0.5 ? whole + (whole % 2) : Math.round(number);
}

// The photo as the detector sees it: the longer side at `side`.
export function shownAt(photo, side) {
  const factor = side / Math.max(photo.width, photo.height);
  const near = (length) => Math.max(1, roundEven(length * factor));
  return resize(photo, near(photo.width), near(photo.height));
}

// Quarter turns to the left, as numpy.rot90 makes them.
export function turned(picture, turns) {
  let result = picture;
  for (let turn = 0; turn < turns; turn++) {
    const { width, height, channels, data } = result;
    const next = new Uint8Array(data.length);
    for (let y = 0, to = 0; y < width; y++) {
      for (let x = 0; x < height; x++) {
        const from = (x * width + width - 1 - y) * channels;
        for (let channel = 0; channel < channels; channel++) next[to++] = data[from + channel];
      }
    }
    result = { width: height, height: width, channels, data: next };
  }
  return result;
}

// CenterFace's input: three planes of floats, padded with black to multiples of 32.
export function planes({ width: wide, height: high, data }) {
  const width = Math.ceil(wide / 32) * 32, height = Math.ceil(high / 32) * 32;
  const plane = width * height, floats = new Float32Array(3 * plane);
  for (let y = 0, from = 0; y < high; y++) {
    for (let x = 0; x < wide; x++) {
      for (let at = y * width + x; at < 3 * plane; at += plane) floats[at] = data[from++];
    }
  }
  return { width, height, floats };
}

// CenterFace's maps (heat, sides, offsets, points), a quarter of its input's size, to [left, top,
// right, bottom, confidence, quarter turns], most confident first; of two that overlap, the first.
export function decode([heat, sides, offsets, points], { sure, overlapping, leaning }) {
  const columns = heat.dims[3], plane = heat.dims[2] * columns, found = [];
  for (let at = 0; at < plane; at++) {
    if (!(heat.data[at] > sure)) continue;
    const high = 2 * Math.exp(sides.data[at]), wide = 2 * Math.exp(sides.data[plane + at]);
    const y = 4 * (Math.floor(at / columns) + offsets.data[at] + 0.5);
    const x = 4 * ((at % columns) + offsets.data[plane + at] + 0.5);
    // Two eyes, the nose, two corners of the mouth: y and x of each, as fractions of the sides.
    const [eye, otherEye, , mouth, otherMouth] = [0, 2, 4, 6, 8];
    const from = (axis, point) => points.data[(point + axis) * plane + at];
    const [below, beside] = [0, 1].map((axis) => (
      from(axis, mouth) + from(axis, otherMouth) - from(axis, eye) - from(axis, otherEye)
    ));
    const angle = (Math.atan2(beside * wide, below * high) * 180) / Math.PI;
    const turns = Math.abs(angle) > leaning ? (4 - Math.round(angle / 90)) % 4 : 0;
    found.push([x - wide, y - high, x + wide, y + high, heat.data[at], turns]);
  }
  found.sort((a, b) => b[4] - a[4]);
  const kept = [];
  for (const box of found) {
    if (!kept.some((other) => overlap(box, other) > overlapping)) kept.push(box);
  }
  return kept;
}

// Boxes in the turned picture that the detector saw, to boxes in the photo.
export function placed(boxes, picture, turns, photo) {
  const upright = turns % 2 ? [picture.height, picture.width] : [picture.width, picture.height];
  const across = photo.width / upright[0], down = photo.height / upright[1], found = [];
  for (const [x1, y1, x2, y2, confidence, lying] of boxes) {
    let box = [
      Math.max(x1, 0), Math.max(y1, 0), Math.min(x2, picture.width), Math.min(y2, picture.height),
    ];
    if (box[2] <= box[0] || box[3] <= box[1]) continue;
    let { width, height } = picture;
    for (let turn = 0; turn < turns; turn++) { // back, a quarter turn to the right at a time
      box = [height - box[3], box[0], height - box[1], box[2]];
      [width, height] = [height, width];
    }
    const right = Math.min(photo.width, box[2] * across);
    const bottom = Math.min(photo.height, box[3] * down);
    found.push({
      turns: (turns + lying) % 4, confidence,
      box: { left: box[0] * across, top: box[1] * down, right, bottom },
    });
  }
  return found;
}

function overlap(a, b) {
  const across = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const down = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (across <= 0 || down <= 0) return 0;
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return (across * down) / (area(a) + area(b) - across * down);
}
