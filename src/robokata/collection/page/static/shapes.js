// Triangles of MuJoCo's primitives: positions and normals, six numbers per corner.

const AROUND = 28;

export function cornersOf({shape, size}) {
  const [a, b, c] = size;
  if (shape === "box") return box(a, b, c);
  if (shape === "sphere") return turnedAbout(arc(a, 0, -1, 1));
  if (shape === "ellipsoid") return stretched(turnedAbout(arc(1, 0, -1, 1)), [a, b, c]);
  if (shape === "cylinder")
    return turnedAbout([[0, -b, 0, -1], [a, -b, 0, -1], [a, -b, 1, 0], [a, b, 1, 0], [a, b, 0, 1], [0, b, 0, 1]]);
  if (shape === "capsule") return turnedAbout([...arc(a, -b, -1, 0), ...arc(a, b, 0, 1)]);
  return box(a || 2, b || 2, 0.0005); // a plane: what can be seen of it
}

// Half a circle's profile, from `from` to `to` quarter turns: [radius, z, normal outward, normal up].
function arc(radius, z, from, to) {
  const out = [], steps = 7 * (to - from);
  for (let step = 0; step <= steps; step++) {
    const angle = (from + (to - from) * step / steps) * Math.PI / 2;
    out.push([radius * Math.cos(angle), z + radius * Math.sin(angle), Math.cos(angle), Math.sin(angle)]);
  }
  return out;
}

function turnedAbout(profile) {
  const out = [];
  for (let turn = 0; turn < AROUND; turn++) {
    const here = turn / AROUND * 2 * Math.PI, next = (turn + 1) / AROUND * 2 * Math.PI;
    for (let index = 0; index + 1 < profile.length; index++) {
      const low = profile[index], high = profile[index + 1];
      const [p, q, r, s] = [corner(low, here), corner(low, next), corner(high, next), corner(high, here)];
      out.push(...p, ...q, ...r, ...p, ...r, ...s);
    }
  }
  return new Float32Array(out);
}

function corner([radius, z, outward, up], angle) {
  const c = Math.cos(angle), s = Math.sin(angle);
  return [radius * c, radius * s, z, outward * c, outward * s, up];
}

function box(a, b, c) {
  const out = [];
  for (let axis = 0; axis < 3; axis++)
    for (const sign of [-1, 1]) {
      const normal = [0, 0, 0];
      normal[axis] = sign;
      const at = (u, v) => {
        const point = [0, 0, 0];
        point[axis] = sign;
        point[(axis + 1) % 3] = u * sign;
        point[(axis + 2) % 3] = v;
        return [point[0] * a, point[1] * b, point[2] * c, ...normal];
      };
      out.push(...at(-1, -1), ...at(1, -1), ...at(1, 1), ...at(-1, -1), ...at(1, 1), ...at(-1, 1));
    }
  return new Float32Array(out);
}

function stretched(corners, by) {
  for (let index = 0; index < corners.length; index += 6)
    for (let axis = 0; axis < 3; axis++) {
      corners[index + axis] *= by[axis];
      corners[index + 3 + axis] /= by[axis] || 1;
    }
  return corners;
}
