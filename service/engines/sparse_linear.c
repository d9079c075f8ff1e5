/* Logits of very many classes: rough for all, from half the bits of few features; exact for the best.
 *
 * service/artifact/sparse.py compiles this file into the bundle; sparse_onnx.py calls it. Reading the
 * weights is nearly all of the work, so each weight is split in two: 16 × high + low - 128, high and
 * low from 0 to 15. `screen` reads only the high halves, of few features, for all classes; `refine`
 * reads both halves, of more features, for few classes.
 *
 * TILE (set by the compiler's command line) is the number of classes that are summed at a time.
 * high: tiles × features × WORDS; a word holds a half of four classes, WORDS apart in the tile.
 * low: classes × features / 2 (rounded up); a byte holds the halves of two features.
 * rows: indices of `count` features. values: their values, -127 … 127, in units of `scale`.
 * steps, bias, logits: one for each class.
 */
#include <stdint.h>

#define WORDS (TILE / 4)
#define LINE 32 /* words in a cache line */
#define HALF(word, part) ((int16_t)((word) >> 4 * (part) & 15))

#if defined(__x86_64__) && defined(__linux__)
/* One copy for each generation of processors; the loader of the library chooses one. */
#define EVERY_PROCESSOR \
    __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define EVERY_PROCESSOR
#endif

/* count: a multiple of 4. Writes all logits. */
EVERY_PROCESSOR
void screen(
    const uint16_t *restrict high, int64_t features, int64_t classes,
    const int64_t *restrict rows, const int8_t *restrict values, int64_t count, float scale,
    const float *restrict steps, const float *restrict bias, float *restrict logits)
{
    int32_t sums[TILE] __attribute__((aligned(64)));
    int32_t all = 0;
    for (int64_t row = 0; row < count; row++)
        all += values[row];
    const float middle = 7.5f - 128; /* mean of the low half, which is not read, minus the offset */
    for (int64_t first = 0; first < classes; first += TILE) {
        const uint16_t *tile = high + first / 4 * features;
        int is_last = first + TILE >= classes;
        for (int64_t at = 0; at < TILE; at++)
            sums[at] = 0;
        for (int64_t row = 0; row < count; row += 4) {
            const uint16_t *a = tile + rows[row] * WORDS, *b = tile + rows[row + 1] * WORDS;
            const uint16_t *c = tile + rows[row + 2] * WORDS, *d = tile + rows[row + 3] * WORDS;
            int16_t x = values[row], y = values[row + 1], z = values[row + 2], u = values[row + 3];
            /* The next rows can be anywhere, so the processor cannot predict them: prefetch. */
            int next_is_here = row + 4 < count;
            const int64_t *next = next_is_here ? rows + row + 4 : rows;
            const uint16_t *from = next_is_here || is_last ? tile : tile + features * WORDS;
            for (int64_t line = 0; line < WORDS; line += LINE) {
                for (int each = 0; each < 4; each++)
                    __builtin_prefetch(from + next[each] * WORDS + line);
                for (int64_t at = line; at < line + LINE; at++) {
                    /* Four products of 4 bits by 7 and a sign fit into 16 bits. */
#define ADD(part) \
    sums[at + part * WORDS] += (int16_t)(x * HALF(a[at], part) + y * HALF(b[at], part) \
                                         + z * HALF(c[at], part) + u * HALF(d[at], part))
                    ADD(0);
                    ADD(1);
                    ADD(2);
                    ADD(3);
                }
            }
        }
        int64_t here = is_last ? classes - first : TILE;
        for (int64_t at = 0; at < here; at++) {
            float sum = 16 * (float)sums[at] + middle * (float)all;
            logits[first + at] = sum * (scale * steps[first + at]) + bias[first + at];
        }
    }
}

/* Writes the logits of the classes `chosen`. */
void refine(
    const uint16_t *restrict high, const uint8_t *restrict low, int64_t features,
    const int64_t *restrict rows, const int8_t *restrict values, int64_t count, float scale,
    const float *restrict steps, const float *restrict bias,
    const int64_t *restrict chosen, int64_t chosen_count, float *restrict logits)
{
    for (int64_t each = 0; each < chosen_count; each++) {
        int64_t of_class = chosen[each], at = of_class % TILE;
        const uint16_t *words = high + of_class / TILE * features * WORDS + at % WORDS;
        const uint8_t *bytes = low + of_class * ((features + 1) / 2);
        int32_t sum = 0;
        for (int64_t row = 0; row < count; row++) {
            int64_t feature = rows[row];
            int32_t upper = HALF(words[feature * WORDS], at / WORDS);
            int32_t lower = HALF(bytes[feature / 2], feature % 2);
            sum += values[row] * (16 * upper + lower - 128);
        }
        logits[of_class] = (float)sum * (scale * steps[of_class]) + bias[of_class];
    }
}
