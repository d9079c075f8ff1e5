/* Logits of very many classes, from the few features that matter: reads no other weights.
 *
 * Compiled into the bundle by service/artifact/sparse.py, called by sparse_onnx.py. Reading the
 * weights is nearly all of the work, so they lie as they are read: in tiles of TILE classes, in each
 * a row of int8 weights a feature. A tile's sums stay in the first-level cache meanwhile.
 */
#include <stdint.h>

#ifndef TILE
#define TILE 4096
#endif
#define CACHE_LINE 64
#define ROWS 4 /* read side by side */

#if defined(__x86_64__) && defined(__linux__)
/* One copy for each generation of processors; the right one is chosen when the library is loaded. */
#define EVERY_PROCESSOR \
    __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define EVERY_PROCESSOR
#endif

/* weights: tiles × features × TILE. rows: `count` features' numbers; values: theirs, −127 … 127, in
 * units of `scale`. steps, bias: of each class. count: a multiple of ROWS. logits: classes. */
EVERY_PROCESSOR
void sparse_linear(
    const int8_t *restrict weights, int64_t features, int64_t classes,
    const int64_t *restrict rows, const int8_t *restrict values, int64_t count, float scale,
    const float *restrict steps, const float *restrict bias, float *restrict logits)
{
    int32_t sums[TILE] __attribute__((aligned(CACHE_LINE)));
    for (int64_t first = 0; first < classes; first += TILE) {
        const int8_t *tile = weights + first * features;
        int is_last = first + TILE >= classes;
        for (int64_t at = 0; at < TILE; at++)
            sums[at] = 0;
        for (int64_t row = 0; row < count; row += ROWS) {
            const int8_t *a = tile + rows[row] * TILE, *b = tile + rows[row + 1] * TILE;
            const int8_t *c = tile + rows[row + 2] * TILE, *d = tile + rows[row + 3] * TILE;
            int16_t x = values[row], y = values[row + 1], z = values[row + 2], u = values[row + 3];
            /* The rows after these lie anywhere: no processor guesses where, so it is told. */
            int next_is_here = row + ROWS < count;
            const int64_t *next = next_is_here ? rows + row + ROWS : rows;
            const int8_t *from = next_is_here || is_last ? tile : tile + features * TILE;
            const int8_t *coming[ROWS] = {from + next[0] * TILE, from + next[1] * TILE,
                                          from + next[2] * TILE, from + next[3] * TILE};
            for (int64_t line = 0; line < TILE; line += CACHE_LINE) {
                for (int each = 0; each < ROWS; each++)
                    __builtin_prefetch(coming[each] + line);
                for (int64_t at = line; at < line + CACHE_LINE; at++) {
                    /* Two products of 7 bits by 7 and a sign fit into 16 bits. */
                    int16_t left = (int16_t)(x * a[at] + y * b[at]);
                    int16_t right = (int16_t)(z * c[at] + u * d[at]);
                    sums[at] += left + right;
                }
            }
        }
        int64_t here = is_last ? classes - first : TILE;
        for (int64_t at = 0; at < here; at++)
            logits[first + at] = (float)sums[at] * (scale * steps[first + at]) + bias[first + at];
    }
}
