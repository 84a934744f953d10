// @ts-check
/**
 * Products of matrices that lie in typed arrays, all written as `out += product`.
 *
 * Tiles of 2 × 4 outputs stay in registers while the inner loop runs; sums are in double precision.
 */

/** @typedef {Float32Array | Float64Array} Floats */

/**
 * A matrix, or a block of one: row r starts at `start + r * stride` of `data`.
 * @typedef {{data: Floats, rows: number, columns: number, start: number, stride: number}} Matrix
 */

/**
 * @param {Floats} data
 * @param {number} rows
 * @param {number} columns
 * @param {number} [start]
 * @param {number} [stride]
 * @returns {Matrix}
 */
export function matrix(data, rows, columns, start = 0, stride = columns) {
  return { data, rows, columns, start, stride };
}

/**
 * A copy with rows and columns exchanged, for `left · rightᵀ`.
 * @param {Matrix} source
 * @param {Floats} [into] where the copy is put, if not in a new array
 * @returns {Matrix}
 */
export function transposed(source, into) {
  const { data, rows, columns, start, stride } = source;
  const out = into ?? newLike(data, rows * columns);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) out[c * rows + r] = data[start + r * stride + c];
  }
  return matrix(out, columns, rows);
}

/**
 * Zeros, in an array of the same type.
 * @param {Floats} like
 * @param {number} length
 * @returns {Floats}
 */
export function newLike(like, length) {
  return like instanceof Float64Array ? new Float64Array(length) : new Float32Array(length);
}

/**
 * out += left · right. Throws a RangeError if the shapes do not fit.
 * @param {Matrix} out
 * @param {Matrix} left
 * @param {Matrix} right
 */
export function addProduct(out, left, right) {
  mustFit("left · right", out, left.rows, left.columns, right.rows, right.columns);
  addTiles(out, left, left.stride, 1, right, left.columns);
}

/**
 * out += leftᵀ · right. Throws a RangeError if the shapes do not fit.
 * @param {Matrix} out
 * @param {Matrix} left
 * @param {Matrix} right
 */
export function addTransposedProduct(out, left, right) {
  mustFit("leftᵀ · right", out, left.columns, left.rows, right.rows, right.columns);
  addTiles(out, left, 1, left.stride, right, left.rows);
}

/**
 * @param {string} what
 * @param {Matrix} out
 * @param {number} rows
 * @param {number} inner
 * @param {number} innerRight
 * @param {number} columns
 */
function mustFit(what, out, rows, inner, innerRight, columns) {
  if (inner !== innerRight || out.rows !== rows || out.columns !== columns) {
    throw new RangeError(
      `${what} of [${rows}, ${inner}] and [${innerRight}, ${columns}] cannot be added to ` +
        `[${out.rows}, ${out.columns}].`,
    );
  }
}

/**
 * Element (i, p) of the left factor is at `left.start + i * byRow + p * byInner`.
 * @param {Matrix} out
 * @param {Matrix} left
 * @param {number} byRow
 * @param {number} byInner
 * @param {Matrix} right
 * @param {number} inner
 */
function addTiles(out, left, byRow, byInner, right, inner) {
  const A = left.data,
    B = right.data,
    C = out.data;
  const bStride = right.stride,
    cStride = out.stride;
  const evenRows = out.rows - (out.rows % 2),
    tiled = out.columns - (out.columns % 4);
  // Four columns are copied together: in a wide matrix, a column's values lie a power of two apart and
  // would displace each other in the cache.
  const tile = new Float64Array(4 * inner);
  for (let j = 0; j < tiled; j += 4) {
    for (let p = 0, b = right.start + j; p < inner; p++, b += bStride) {
      tile[4 * p] = B[b];
      tile[4 * p + 1] = B[b + 1];
      tile[4 * p + 2] = B[b + 2];
      tile[4 * p + 3] = B[b + 3];
    }
    for (let i = 0; i < evenRows; i += 2) {
      let s00 = 0,
        s01 = 0,
        s02 = 0,
        s03 = 0,
        s10 = 0,
        s11 = 0,
        s12 = 0,
        s13 = 0;
      let a = left.start + i * byRow;
      for (let b = 0; b < 4 * inner; b += 4) {
        const x = A[a],
          y = A[a + byRow];
        const b0 = tile[b],
          b1 = tile[b + 1],
          b2 = tile[b + 2],
          b3 = tile[b + 3];
        s00 += x * b0;
        s01 += x * b1;
        s02 += x * b2;
        s03 += x * b3;
        s10 += y * b0;
        s11 += y * b1;
        s12 += y * b2;
        s13 += y * b3;
        a += byInner;
      }
      const c = out.start + i * cStride + j,
        d = c + cStride;
      C[c] += s00;
      C[c + 1] += s01;
      C[c + 2] += s02;
      C[c + 3] += s03;
      C[d] += s10;
      C[d + 1] += s11;
      C[d + 2] += s12;
      C[d + 3] += s13;
    }
  }
  addSingly(out, left, byRow, byInner, right, inner, 0, evenRows, tiled);
  addSingly(out, left, byRow, byInner, right, inner, evenRows, out.rows, 0);
}

/**
 * The outputs that no tile covers: rows `fromRow` to `toRow`, columns from `fromColumn` on.
 * @param {Matrix} out
 * @param {Matrix} left
 * @param {number} byRow
 * @param {number} byInner
 * @param {Matrix} right
 * @param {number} inner
 * @param {number} fromRow
 * @param {number} toRow
 * @param {number} fromColumn
 */
function addSingly(out, left, byRow, byInner, right, inner, fromRow, toRow, fromColumn) {
  for (let i = fromRow; i < toRow; i++) {
    for (let j = fromColumn; j < out.columns; j++) {
      let sum = 0;
      for (let p = 0; p < inner; p++) {
        const x = left.data[left.start + i * byRow + p * byInner];
        sum += x * right.data[right.start + p * right.stride + j];
      }
      out.data[out.start + i * out.stride + j] += sum;
    }
  }
}
