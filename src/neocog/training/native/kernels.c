/* Winograd's transforms F(2x2, 3x3) on bf16 maps whose channels come last, for CPUs with AVX-512 and its bf16 instructions.
 *
 * A tile is 2x2 outputs, and the 4x4 inputs that they depend on. With d a tile of inputs, g a 3x3 filter, and e a tile of
 * the gradient from above:
 *
 *     outputs    A' [(G g G') * (B' d B)] A        filter gradient    G' [(A e A') * (B' d B)] G
 *
 * where * is a product of 4x4 matrices, value by value: summed over channels, 16 products of matrices, which the caller
 * computes. Source: Lavin & Gray 2016, "Fast algorithms for convolutional neural networks", section 4.1.
 *
 * Tiles are numbered by image, row and column. Each function works on tile rows first to last - 1, where tile row r is row
 * r % tile_rows of image r / tile_rows. Spectra are (16, tiles, channels). Counts of channels are multiples of 16.
 */
#include <immintrin.h>
#include <stdint.h>

typedef uint16_t bf16;
typedef __m512 vec;

static const bf16 zeros[16] __attribute__((aligned(32)));

static inline vec load(const bf16 *at) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)at)), 16));
}

static inline void store(bf16 *at, vec values) {
    _mm256_storeu_si256((__m256i *)at, (__m256i)_mm512_cvtneps_pbh(values));
}

#define ADD _mm512_add_ps
#define SUB _mm512_sub_ps

/* One axis of B': 4 values -> 4 */
static inline void to_spectrum(vec v[4]) {
    vec a = SUB(v[0], v[2]), b = ADD(v[1], v[2]), c = SUB(v[2], v[1]), d = SUB(v[1], v[3]);
    v[0] = a, v[1] = b, v[2] = c, v[3] = d;
}

/* The place of a pair of frequencies. Reversing a filter swaps the first and the last frequency of each axis. */
static inline int place(int row, int column, int reversed) {
    if (reversed) {
        row = row == 0 ? 3 : row == 3 ? 0 : row;
        column = column == 0 ? 3 : column == 3 ? 0 : column;
    }
    return 4 * row + column;
}

/* B' d B of each tile of (n, height, width, channels) maps with `pad` rows and columns of zeros around them. */
void neocog_spectra_of_inputs(const bf16 *maps, bf16 *spectra, long height, long width, long channels, long pad,
                              long tile_rows, long tile_columns, long first, long last, long reversed, long threads) {
    long tiles = (last - first) * tile_columns;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long row = first; row < last; row++) {
        const bf16 *image = maps + row / tile_rows * height * width * channels;
        long top = row % tile_rows * 2 - pad;
        for (long c = 0; c < channels; c += 16) {
            vec d[4][4] = {{{0}}};
            for (long column = -1; column < tile_columns; column++) {
                long left = column * 2 - pad;
                for (int j = 2; j < 4; j++) { /* the first two columns of pixels are the last two of the tile before */
                    long x = left + j;
                    vec v[4];
                    for (int i = 0; i < 4; i++) {
                        long y = top + i;
                        int inside = x >= 0 && x < width && y >= 0 && y < height;
                        v[i] = load(inside ? image + (y * width + x) * channels + c : zeros);
                    }
                    to_spectrum(v);
                    for (int i = 0; i < 4; i++) d[i][j - 2] = d[i][j], d[i][j] = v[i];
                }
                if (column < 0) continue;
                bf16 *to = spectra + ((row - first) * tile_columns + column) * channels + c;
                for (int i = 0; i < 4; i++) {
                    vec v[4] = {d[i][0], d[i][1], d[i][2], d[i][3]};
                    to_spectrum(v);
                    for (int j = 0; j < 4; j++) store(to + place(i, j, reversed) * tiles * channels, v[j]);
                }
            }
        }
    }
}

/* A e A' of each tile of (n, height, width, channels) gradients. */
void neocog_spectra_of_gradients(const bf16 *gradients, bf16 *spectra, long height, long width, long channels,
                                 long tile_rows, long tile_columns, long first, long last, long threads) {
    long tiles = (last - first) * tile_columns;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long row = first; row < last; row++) {
        const bf16 *image = gradients + row / tile_rows * height * width * channels;
        long top = row % tile_rows * 2;
        for (long column = 0; column < tile_columns; column++) {
            bf16 *to = spectra + ((row - first) * tile_columns + column) * channels;
            for (long c = 0; c < channels; c += 16) {
                vec d[4][2];
                for (int j = 0; j < 2; j++) {
                    long x = column * 2 + j;
                    vec a = load(x < width ? image + (top * width + x) * channels + c : zeros);
                    vec b = load(x < width && top + 1 < height ? image + ((top + 1) * width + x) * channels + c : zeros);
                    d[0][j] = a, d[1][j] = ADD(a, b), d[2][j] = SUB(a, b), d[3][j] = SUB(_mm512_setzero_ps(), b);
                }
                for (int i = 0; i < 4; i++) {
                    vec a = d[i][0], b = d[i][1];
                    store(to + (4 * i) * tiles * channels + c, a);
                    store(to + (4 * i + 1) * tiles * channels + c, ADD(a, b));
                    store(to + (4 * i + 2) * tiles * channels + c, SUB(a, b));
                    store(to + (4 * i + 3) * tiles * channels + c, SUB(_mm512_setzero_ps(), b));
                }
            }
        }
    }
}

/* A' m A of each tile, plus a bias for each channel unless it is null, written to (n, height, width, channels) maps. */
void neocog_maps_of_spectra(const bf16 *spectra, const float *bias, bf16 *maps, long height, long width, long channels,
                            long tile_rows, long tile_columns, long first, long last, long reversed, long threads) {
    long tiles = (last - first) * tile_columns;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long row = first; row < last; row++) {
        bf16 *image = maps + row / tile_rows * height * width * channels;
        long top = row % tile_rows * 2;
        for (long column = 0; column < tile_columns; column++) {
            const bf16 *from = spectra + ((row - first) * tile_columns + column) * channels;
            long x = column * 2;
            for (long c = 0; c < channels; c += 16) {
                vec s[2][4], shift = bias ? _mm512_loadu_ps(bias + c) : _mm512_setzero_ps();
                for (int j = 0; j < 4; j++) {
                    vec m[4];
                    for (int i = 0; i < 4; i++) m[i] = load(from + place(i, j, reversed) * tiles * channels + c);
                    s[0][j] = ADD(ADD(m[0], m[1]), m[2]), s[1][j] = SUB(SUB(m[1], m[2]), m[3]);
                }
                for (int i = 0; i < 2 && top + i < height; i++) {
                    bf16 *to = image + ((top + i) * width + x) * channels + c;
                    store(to, ADD(shift, ADD(ADD(s[i][0], s[i][1]), s[i][2])));
                    if (x + 1 < width) store(to + channels, ADD(shift, SUB(SUB(s[i][1], s[i][2]), s[i][3])));
                }
            }
        }
    }
}

/* G g G' of (c_out, 3, 3, c_in) filters in float32 -> (16, c_out, c_in). */
void neocog_spectra_of_filters(const float *filters, bf16 *spectra, long c_out, long c_in, long threads) {
    const vec half = _mm512_set1_ps(0.5f);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long o = 0; o < c_out; o++)
        for (long c = 0; c < c_in; c += 16) {
            const float *from = filters + o * 9 * c_in + c;
            vec d[4][3];
            for (int j = 0; j < 3; j++) {
                vec a = _mm512_loadu_ps(from + j * c_in), b = _mm512_loadu_ps(from + (3 + j) * c_in);
                vec e = _mm512_loadu_ps(from + (6 + j) * c_in), sum = _mm512_mul_ps(ADD(a, e), half);
                b = _mm512_mul_ps(b, half);
                d[0][j] = a, d[1][j] = ADD(sum, b), d[2][j] = SUB(sum, b), d[3][j] = e;
            }
            for (int i = 0; i < 4; i++) {
                bf16 *to = spectra + (4 * i * c_out + o) * c_in + c;
                vec sum = _mm512_mul_ps(ADD(d[i][0], d[i][2]), half), b = _mm512_mul_ps(d[i][1], half);
                store(to, d[i][0]);
                store(to + c_out * c_in, ADD(sum, b));
                store(to + 2 * c_out * c_in, SUB(sum, b));
                store(to + 3 * c_out * c_in, d[i][2]);
            }
        }
}

/* One axis of G': 4 values -> 3 */
static inline void to_taps(const vec v[4], vec taps[3]) {
    const vec half = _mm512_set1_ps(0.5f);
    vec sum = _mm512_mul_ps(ADD(v[1], v[2]), half);
    taps[0] = ADD(v[0], sum), taps[1] = _mm512_mul_ps(SUB(v[1], v[2]), half), taps[2] = ADD(sum, v[3]);
}

/* G' s G of (16, c_out, c_in) spectra -> (c_out, 3, 3, c_in) gradients in float32, added to those there if asked. */
void neocog_filters_of_spectra(const bf16 *spectra, float *gradients, long c_out, long c_in, long add, long threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long o = 0; o < c_out; o++)
        for (long c = 0; c < c_in; c += 16) {
            vec d[3][4], taps[3];
            for (int j = 0; j < 4; j++) {
                vec v[4];
                for (int i = 0; i < 4; i++) v[i] = load(spectra + ((4 * i + j) * c_out + o) * c_in + c);
                to_taps(v, taps);
                for (int i = 0; i < 3; i++) d[i][j] = taps[i];
            }
            for (int i = 0; i < 3; i++) {
                to_taps(d[i], taps);
                for (int j = 0; j < 3; j++) {
                    float *to = gradients + (o * 9 + 3 * i + j) * c_in + c;
                    _mm512_storeu_ps(to, add ? ADD(taps[j], _mm512_loadu_ps(to)) : taps[j]);
                }
            }
        }
}
