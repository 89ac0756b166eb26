/* 3x3 convolutions of bf16 maps, and their gradients, by Winograd's F(2x2, 3x3), for CPUs with AVX-512's bf16 instructions.
 *
 * A tile is 2x2 outputs, and the 4x4 inputs that they depend on. With d a tile of inputs, g a 3x3 filter, and e a tile of
 * the gradient from above:
 *
 *     outputs    A' [(G g G') * (B' d B)] A        filter gradient    G' [(A e A') * (B' d B)] G
 *
 * where * is a product of 4x4 matrices, value by value: summed over channels, or over tiles, 16 products of matrices.
 * Source: Lavin & Gray 2016, "Fast algorithms for convolutional neural networks", section 4.1.
 *
 * Maps are (num, height, width, channels), filters (c_out, 3, 3, c_in), numbers of channels multiples of 16. Spectra are
 * bf16, sums of products float32. Tiles are numbered by image, row and column. Each value is computed in the same order
 * however many threads there are. Functions for callers return 0, or 1 if there is too little memory.
 */
#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint16_t bf16;
typedef __m512 vec;

enum { FREQUENCIES = 16, ROWS = 8, WIDE = 32, PAD = 32 };        /* PAD keeps frequencies out of the same cache sets */
enum { OWN_CACHE = 640 << 10, SHARED_CACHE = 4 << 20, CHUNK = 32 }; /* bytes, bytes, tiles */

static long least(long a, long b) { return a < b ? a : b; }
static long most(long a, long b) { return a > b ? a : b; }
static long parts_of(long total, long size) { return (total + size - 1) / size; }
static long multiple(long value, long of) { return parts_of(value, of) * of; }

static void *room_for(long bytes) { return aligned_alloc(64, multiple(bytes, 64)); }

static inline vec load(const bf16 *at) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)at)), 16));
}

static inline void store(bf16 *at, vec values) {
    _mm256_storeu_si256((__m256i *)at, (__m256i)_mm512_cvtneps_pbh(values));
}

/* Two vectors as 16 pairs. */
static inline void store_pairs(bf16 *at, vec a, vec b) {
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5,
                                           20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    _mm512_storeu_si512(at, _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(b, a)));
}

/* The same pair of bf16 in all 16 places. */
static inline __m512bh pair(const bf16 *at) {
    int both;
    memcpy(&both, at, sizeof both);
    return (__m512bh)_mm512_set1_epi32(both);
}

static inline __m512bh pairs(const bf16 *at) { return (__m512bh)_mm512_loadu_si512(at); }

#define ADD _mm512_add_ps
#define SUB _mm512_sub_ps
#define ZERO _mm512_setzero_ps()

/* Maps, and the tiles of the outputs that belong to them. */
typedef struct {
    long height, width, channels, pad, rows, columns;
} Frame;

/* One axis of B': 4 values -> 4 */
static inline void to_spectrum(vec v[4]) {
    vec a = SUB(v[0], v[2]), b = ADD(v[1], v[2]), c = SUB(v[2], v[1]), d = SUB(v[1], v[3]);
    v[0] = a, v[1] = b, v[2] = c, v[3] = d;
}

/* The spectra of 16 channels of one tile go to spectra[f * step] for each frequency f; those of two tiles as pairs. */
static inline void put(bf16 *spectra, long step, const vec s[16]) {
    for (int f = 0; f < FREQUENCIES; f++) store(spectra + f * step, s[f]);
}

static inline void put_pairs(bf16 *spectra, long step, const vec a[16], const vec b[16]) {
    for (int f = 0; f < FREQUENCIES; f++) store_pairs(spectra + f * step, a[f], b[f]);
}

/* B' d B of tiles first to last - 1, with zeros around the maps: (16, channels / 16, room, 16), frequencies `step` apart;
 * paired, two tiles at a time: (16, channels / 16, room, 16, 2). */
static inline void input_spectra(const bf16 *maps, Frame frame, long first, long last, bf16 *spectra, long room, long step,
                                 int paired) {
    const long channels = frame.channels, line = frame.width * channels;
    for (long c = 0; c < channels; c += 16) {
        bf16 *to = spectra + c * room * (paired ? 2 : 1);
        vec held[16] = {0};
        for (long t = first; t < last;) {
            long row = t / frame.columns, column = t % frame.columns, end = least(last, t + frame.columns - column);
            long top = row % frame.rows * 2 - frame.pad, left = column * 2 - frame.pad;
            const bf16 *image = maps + (row / frame.rows * frame.height + top) * line + c;
            vec d[4][4];
            for (int start = 1; t < end; start = 0, left += 2) {
                for (int j = start ? 0 : 2; j < 4; j++) { /* the first two columns are the last two of the tile before */
                    long x = left + j;
                    vec v[4] = {ZERO, ZERO, ZERO, ZERO};
                    if (x >= 0 && x < frame.width) {
                        const bf16 *at = image + x * channels;
                        for (int i = 0; i < 4; i++)
                            if (top + i >= 0 && top + i < frame.height) v[i] = load(at + i * line);
                    }
                    to_spectrum(v);
                    for (int i = 0; i < 4; i++) d[i][j] = v[i];
                }
                vec s[16];
                for (int i = 0; i < 4; i++) {
                    for (int j = 0; j < 4; j++) s[4 * i + j] = d[i][j];
                    to_spectrum(s + 4 * i);
                    d[i][0] = d[i][2], d[i][1] = d[i][3];
                }
                long index = t++ - first;
                if (!paired) put(to + index * 16, step, s);
                else if (index % 2) put_pairs(to + index / 2 * 32, step, held, s);
                else memcpy(held, s, sizeof held);
            }
        }
        if (paired && (last - first) % 2) {
            const vec nothing[16] = {0};
            put_pairs(to + (last - first) / 2 * 32, step, held, nothing);
        }
    }
}

/* A e A' of tiles first to last - 1 of gradients, paired. */
static void gradient_spectra(const bf16 *gradients, Frame frame, long first, long last, bf16 *spectra, long room, long step) {
    const long channels = frame.channels, line = frame.width * channels;
    for (long c = 0; c < channels; c += 16) {
        bf16 *to = spectra + c * room * 2;
        vec held[16] = {0};
        for (long t = first; t < last; t++) {
            long row = t / frame.columns, column = t % frame.columns, top = row % frame.rows * 2;
            const bf16 *at = gradients + ((row / frame.rows * frame.height + top) * frame.width + column * 2) * channels + c;
            vec d[4][2], s[16];
            for (int j = 0; j < 2; j++) {
                int inside = column * 2 + j < frame.width;
                vec a = inside ? load(at + j * channels) : ZERO;
                vec b = inside && top + 1 < frame.height ? load(at + line + j * channels) : ZERO;
                d[0][j] = a, d[1][j] = ADD(a, b), d[2][j] = SUB(a, b), d[3][j] = SUB(ZERO, b);
            }
            for (int i = 0; i < 4; i++) {
                vec a = d[i][0], b = d[i][1];
                s[4 * i] = a, s[4 * i + 1] = ADD(a, b), s[4 * i + 2] = SUB(a, b), s[4 * i + 3] = SUB(ZERO, b);
            }
            long index = t - first;
            if (index % 2) put_pairs(to + index / 2 * 32, step, held, s);
            else memcpy(held, s, sizeof held);
        }
        if ((last - first) % 2) {
            const vec nothing[16] = {0};
            put_pairs(to + (last - first) / 2 * 32, step, held, nothing);
        }
    }
}

/* G g G' of 16 channels of a filter */
static inline void filter_spectrum(const float *filter, long c_in, vec s[16]) {
    const vec half = _mm512_set1_ps(0.5f);
    vec d[4][3];
    for (int j = 0; j < 3; j++) {
        vec a = _mm512_loadu_ps(filter + j * c_in), b = _mm512_loadu_ps(filter + (3 + j) * c_in);
        vec e = _mm512_loadu_ps(filter + (6 + j) * c_in), sum = _mm512_mul_ps(ADD(a, e), half);
        b = _mm512_mul_ps(b, half);
        d[0][j] = a, d[1][j] = ADD(sum, b), d[2][j] = SUB(sum, b), d[3][j] = e;
    }
    for (int i = 0; i < 4; i++) {
        vec sum = _mm512_mul_ps(ADD(d[i][0], d[i][2]), half), b = _mm512_mul_ps(d[i][1], half);
        s[4 * i] = d[i][0], s[4 * i + 1] = ADD(sum, b), s[4 * i + 2] = SUB(sum, b), s[4 * i + 3] = d[i][2];
    }
}

/* Panels hold the factors of up to 32 outputs: (outputs / 32, 16, channels / 2, 32, 2), the last one as narrow as it is. */
static inline bf16 *in_panel(bf16 *panels, long channels, long outputs, long output, int f, long channel) {
    long first = output / WIDE * WIDE, width = least(WIDE, outputs - first);
    return panels + FREQUENCIES * channels * first + (f * channels + channel) * width + (output - first) * 2;
}

/* Filters as panels for convolutions. */
long neocog_panels(const float *filters, bf16 *panels, long c_out, long c_in, long threads) {
    const __m512i order = _mm512_mullo_epi32(_mm512_set1_epi32(8), _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4,
                                                                                    3, 2, 1, 0));
#pragma omp parallel for num_threads(threads) schedule(static) collapse(2)
    for (long o = 0; o < c_out; o += 16)
        for (long c = 0; c < c_in; c += 16) {
            int all[FREQUENCIES][16][8] __attribute__((aligned(64))); /* pairs of channels, of 16 filters */
            for (int i = 0; i < 16; i++) {
                vec s[16];
                filter_spectrum(filters + (o + i) * 9 * c_in + c, c_in, s);
                for (int f = 0; f < FREQUENCIES; f++) store((bf16 *)all[f][i], s[f]);
            }
            for (int f = 0; f < FREQUENCIES; f++)
                for (int p = 0; p < 8; p++)
                    _mm512_storeu_si512(in_panel(panels, c_in, c_out, o, f, c + 2 * p),
                                        _mm512_i32gather_epi32(order, &all[f][0][p], 4));
        }
    return 0;
}

/* Filters as panels for input gradients, which are convolutions of the gradients with filters turned by 180 degrees: this
 * swaps the first and the last frequency of each axis. */
long neocog_turned_panels(const float *filters, bf16 *panels, long c_out, long c_in, long threads) {
    const int swapped[4] = {3, 1, 2, 0};
#pragma omp parallel for num_threads(threads) schedule(static) collapse(2)
    for (long c = 0; c < c_in; c += 16)
        for (long o = 0; o < c_out; o += 2) {
            vec a[16], b[16];
            filter_spectrum(filters + o * 9 * c_in + c, c_in, a);
            filter_spectrum(filters + (o + 1) * 9 * c_in + c, c_in, b);
            for (int f = 0; f < FREQUENCIES; f++) {
                int turned = 4 * swapped[f / 4] + swapped[f % 4];
                store_pairs(in_panel(panels, c_out, c_in, c, turned, o), a[f], b[f]);
            }
        }
    return 0;
}

/* (8, 16 n) sums of products of channels, n = 1 or 2: `blocks` of (8, 16) spectra that are `jump` apart, and a panel. */
static inline __attribute__((always_inline)) void product(const bf16 *a, long jump, const bf16 *b, float *to, long blocks,
                                                          const int n) {
    vec sums[ROWS][2];
    for (int i = 0; i < ROWS; i++)
        for (int v = 0; v < n; v++) sums[i][v] = ZERO;
    for (; blocks > 0; blocks--, a += jump)
#pragma GCC unroll 8
        for (int p = 0; p < 16; p += 2, b += 32 * n) {
            __m512bh factors[2];
            for (int v = 0; v < n; v++) factors[v] = pairs(b + 32 * v);
#pragma GCC unroll 8
            for (int i = 0; i < ROWS; i++)
                for (int v = 0; v < n; v++) sums[i][v] = _mm512_dpbf16_ps(sums[i][v], pair(a + 16 * i + p), factors[v]);
        }
    for (int i = 0; i < ROWS; i++)
        for (int v = 0; v < n; v++) _mm512_storeu_ps(to + WIDE * i + 16 * v, sums[i][v]);
}

/* A' m A of `count` tiles from the first one on, for 16 channels, plus a bias for each, written to maps. */
static void write_maps(const float *products, long step, Frame frame, long first, long count, const float *bias, bf16 *maps) {
    const vec shift = bias ? _mm512_loadu_ps(bias) : ZERO;
    const long channels = frame.channels, line = frame.width * channels;
    for (long t = 0; t < count; t++, products += WIDE) {
        long row = (first + t) / frame.columns, x = (first + t) % frame.columns * 2, top = row % frame.rows * 2;
        bf16 *to = maps + ((row / frame.rows * frame.height + top) * frame.width + x) * channels;
        vec s[2][4];
        for (int j = 0; j < 4; j++) {
            vec m[4];
            for (int i = 0; i < 4; i++) m[i] = _mm512_loadu_ps(products + (4 * i + j) * step);
            s[0][j] = ADD(ADD(m[0], m[1]), m[2]), s[1][j] = SUB(SUB(m[1], m[2]), m[3]);
        }
        for (int i = 0; i < 2 && top + i < frame.height; i++, to += line) {
            store(to, ADD(shift, ADD(ADD(s[i][0], s[i][1]), s[i][2])));
            if (x + 1 < frame.width) store(to + channels, ADD(shift, SUB(SUB(s[i][1], s[i][2]), s[i][3])));
        }
    }
}

/* (num, height, width, channels) maps and panels -> (num, out_height, out_width, outputs) maps, plus a bias unless it is
 * null. Each thread computes blocks of tiles whose spectra stay in its own cache. */
long neocog_convolve(const bf16 *maps, const bf16 *panels, const float *bias, bf16 *out, long num, long height, long width,
                     long channels, long pad, long out_height, long out_width, long outputs, long threads) {
    const long rows = parts_of(out_height, 2), columns = parts_of(out_width, 2), total = num * rows * columns;
    const Frame from = {height, width, channels, pad, rows, columns};
    const Frame to = {out_height, out_width, outputs, 0, rows, columns};
    const long limit = most(ROWS, OWN_CACHE / (FREQUENCIES * (2 * channels + 4 * WIDE)));
    const long size = multiple(parts_of(total, multiple(parts_of(total, limit), threads)), ROWS);
    const long step = channels * size + PAD, product_step = WIDE * size + PAD;
    long failed = 0;
#pragma omp parallel num_threads(threads) reduction(| : failed)
    {
        bf16 *spectra = room_for(2 * FREQUENCIES * step);
        float *products = room_for(4 * FREQUENCIES * product_step);
        failed = !spectra || !products;
#pragma omp for schedule(static)
        for (long first = 0; first < total; first += size) {
            if (failed) continue;
            long count = least(size, total - first);
            input_spectra(maps, from, first, first + count, spectra, size, step, 0);
            for (long k = 0; k < outputs; k += WIDE) {
                long wide = least(WIDE, outputs - k);
                for (int f = 0; f < FREQUENCIES; f++) {
                    const bf16 *panel = panels + FREQUENCIES * channels * k + f * channels * wide, *a = spectra + f * step;
                    float *at = products + f * product_step;
                    for (long r = 0; r < count; r += ROWS)
                        if (wide == WIDE) product(a + 16 * r, 16 * size, panel, at + WIDE * r, channels / 16, 2);
                        else product(a + 16 * r, 16 * size, panel, at + WIDE * r, channels / 16, 1);
                }
                for (long v = 0; v < wide; v += 16)
                    write_maps(products + v, product_step, to, first, count, bias ? bias + k + v : NULL, out + k + v);
            }
        }
        free(spectra);
        free(products);
    }
    return failed;
}

/* (8, 16 n) sums of products of tiles, n = 1 or 2, from those in `to` on unless `fresh`: pairs of spectra of 8 of 16
 * channels, and of n times 16 channels that are `apart`. */
static inline __attribute__((always_inline)) void product_of_tiles(const bf16 *a, const bf16 *b, long apart, float *to,
                                                                   long count, int fresh, const int n) {
    vec sums[ROWS][2];
    for (int i = 0; i < ROWS; i++)
        for (int v = 0; v < n; v++) sums[i][v] = fresh ? ZERO : _mm512_loadu_ps(to + WIDE * i + 16 * v);
    for (; count > 0; count--, a += 32, b += 32) {
        __m512bh factors[2];
        for (int v = 0; v < n; v++) factors[v] = pairs(b + v * apart);
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++)
            for (int v = 0; v < n; v++) sums[i][v] = _mm512_dpbf16_ps(sums[i][v], pair(a + 2 * i), factors[v]);
    }
    for (int i = 0; i < ROWS; i++)
        for (int v = 0; v < n; v++) _mm512_storeu_ps(to + WIDE * i + 16 * v, sums[i][v]);
}

/* One axis of G': 4 values -> 3 */
static inline void to_taps(const vec v[4], vec taps[3]) {
    const vec half = _mm512_set1_ps(0.5f);
    vec sum = _mm512_mul_ps(ADD(v[1], v[2]), half);
    taps[0] = ADD(v[0], sum), taps[1] = _mm512_mul_ps(SUB(v[1], v[2]), half), taps[2] = ADD(sum, v[3]);
}

/* G' s G of 16 channels of a filter */
static inline void write_filter(const float *sums, long step, float *filter, long c_in) {
    vec d[3][4], taps[3];
    for (int j = 0; j < 4; j++) {
        vec v[4];
        for (int i = 0; i < 4; i++) v[i] = _mm512_loadu_ps(sums + (4 * i + j) * step);
        to_taps(v, taps);
        for (int i = 0; i < 3; i++) d[i][j] = taps[i];
    }
    for (int i = 0; i < 3; i++) {
        to_taps(d[i], taps);
        for (int j = 0; j < 3; j++) _mm512_storeu_ps(filter + (3 * i + j) * c_in, taps[j]);
    }
}

/* (num, out_height, out_width, c_out) gradients from above and (num, height, width, c_in) maps -> the gradient of the
 * filters. Tiles are taken in parts whose spectra stay in the shared cache; each thread sums for its own filters. */
long neocog_filter_gradient(const bf16 *upstream, const bf16 *maps, float *filters, long num, long height, long width,
                            long c_in, long pad, long out_height, long out_width, long c_out, long threads) {
    const long rows = parts_of(out_height, 2), columns = parts_of(out_width, 2), total = num * rows * columns;
    const Frame below = {height, width, c_in, pad, rows, columns}, above = {out_height, out_width, c_out, 0, rows, columns};
    const long limit = most(CHUNK, SHARED_CACHE / (2 * FREQUENCIES * (c_in + c_out)) / CHUNK * CHUNK);
    const long size = multiple(parts_of(total, parts_of(total, limit)), CHUNK), room = size / 2;
    const long b_step = c_in * size + PAD, a_step = c_out * size + PAD;
    long high = 64; /* filters of a unit, which has up to 32 channels */
    while (high > ROWS && parts_of(c_out, high) * parts_of(c_in, WIDE) < 2 * threads) high /= 2;
    const long across = parts_of(c_in, WIDE), units = parts_of(c_out, high) * across;
    const long step = high * WIDE + PAD, unit_size = FREQUENCIES * step;
    bf16 *b = room_for(2 * FREQUENCIES * b_step), *a = room_for(2 * FREQUENCIES * a_step);
    float *all = total > size ? room_for(4 * units * unit_size) : NULL;
    long failed = !a || !b || (total > size && !all);
#pragma omp parallel num_threads(threads) reduction(| : failed)
    {
        float *own = all ? NULL : room_for(4 * unit_size);
        failed |= !all && !own;
        for (long first = 0; first < total; first += size) {
            long last = least(first + size, total), count = parts_of(last - first, 2);
#pragma omp for schedule(static)
            for (long t = first; t < last; t += CHUNK) {
                if (!a || !b) continue;
                long end = least(t + CHUNK, last), at = (t - first) * 16;
                input_spectra(maps, below, t, end, b + at, room, b_step, 1);
                gradient_spectra(upstream, above, t, end, a + at, room, a_step);
            }
#pragma omp for schedule(static)
            for (long unit = 0; unit < units; unit++) {
                float *sums = all ? all + unit * unit_size : own;
                if (!a || !b || !sums) continue;
                long k = unit / across * high, c = unit % across * WIDE;
                long tall = least(high, c_out - k), wide = least(WIDE, c_in - c);
                for (int f = 0; f < FREQUENCIES; f++)
                    for (long r = 0; r < tall; r += ROWS) {
                        const bf16 *top = a + f * a_step + ((k + r) / 16 * room * 16 + (k + r) % 16) * 2;
                        const bf16 *bottom = b + f * b_step + c * room * 2;
                        float *to = sums + f * step + r * WIDE;
                        if (wide == WIDE) product_of_tiles(top, bottom, 32 * room, to, count, first == 0, 2);
                        else product_of_tiles(top, bottom, 0, to, count, first == 0, 1);
                    }
                if (last == total)
                    for (long r = 0; r < tall; r++)
                        for (long v = 0; v < wide; v += 16)
                            write_filter(sums + r * WIDE + v, step, filters + (k + r) * 9 * c_in + c + v, c_in);
            }
        }
        free(own);
    }
    free(a), free(b), free(all);
    return failed;
}
