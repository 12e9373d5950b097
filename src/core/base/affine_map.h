/* The affine map that a network's few numbers stand for (GVSL, He et al., CVPR 2023), and its gradient.  Numbers: rotations, scales,
 * translations in pixels, shears row by row; 7 of them in 2D, 15 in 3D.  All but translations are clamped to -1..1 before they are angles
 * of up to pi/9, scales of 1 +- 1/4 and shears of up to tan(pi/18).  The matrix is shear scale rotation, a rotation of axis i towards j
 * as SeVR has it.  AFFINE_MAP: how its functions are declared, so that a device can have them.  Read by the kernels of affine_field. */
#ifndef COVER_AFFINE_MAP_H
#define COVER_AFFINE_MAP_H

#include <math.h>

#ifndef AFFINE_MAP
#define AFFINE_MAP static inline
#endif

enum { AFFINE_2D = 7, AFFINE_3D = 15, AFFINE_SUMS = 12 /* a 3 x 3 matrix, a translation */ };

typedef double affine_matrix[3][3];

AFFINE_MAP double affine_clamped(float number) { return number < -1 ? -1 : number > 1 ? 1 : (double)number; }
AFFINE_MAP double affine_passes(float number) { return number >= -1 && number <= 1 ? 1 : 0; } /* slope of the clamp */

/* The turns in the order of their factors: which number, and axes. */
struct affine_turn {
    int number, i, j;
};
AFFINE_MAP struct affine_turn affine_turn_at(int d, int factor) {
    struct affine_turn turn;
    turn.number = d == 2 ? 0 : 2 - factor;
    turn.i = factor == 0 ? 0 : factor == 1 ? 2 : 1;
    turn.j = factor == 0 ? 1 : factor == 1 ? 0 : 2;
    return turn;
}
AFFINE_MAP int affine_turns(int d) { return d == 2 ? 1 : 3; }

AFFINE_MAP void affine_identity(affine_matrix m) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) m[i][j] = i == j ? 1 : 0;
}
/* c = a b, or with either transposed; c is neither. */
AFFINE_MAP void affine_product(affine_matrix c, const affine_matrix a, int a_turned, const affine_matrix b, int b_turned) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            c[i][j] = 0;
            for (int k = 0; k < 3; k++) c[i][j] += (a_turned ? a[k][i] : a[i][k]) * (b_turned ? b[j][k] : b[k][j]);
        }
}

/* Factor 0 shears, 1 scales, the rest turn. */
AFFINE_MAP int affine_factors(int d) { return 2 + affine_turns(d); }
AFFINE_MAP void affine_factor(affine_matrix m, const float *numbers, int d, int factor) {
    const double pi = 3.14159265358979323846;
    const float *const scale = numbers + affine_turns(d), *shear = scale + 2 * d;
    affine_identity(m);
    if (factor == 0) {
        for (int i = 0; i < d; i++)
            for (int j = 0; j < d; j++)
                if (i != j) m[i][j] = tan(affine_clamped(*shear++) * (pi / 18));
    } else if (factor == 1) {
        for (int i = 0; i < d; i++) m[i][i] = 1 + affine_clamped(scale[i]) / 4;
    } else {
        const struct affine_turn turn = affine_turn_at(d, factor - 2);
        const double angle = affine_clamped(numbers[turn.number]) * (pi / 9);
        m[turn.i][turn.i] = m[turn.j][turn.j] = cos(angle);
        m[turn.i][turn.j] = -sin(angle), m[turn.j][turn.i] = sin(angle);
    }
}
/* The product of factors [begin, end). */
AFFINE_MAP void affine_factors_of(affine_matrix m, const float *numbers, int d, int begin, int end) {
    affine_matrix factor, before;
    affine_identity(m);
    for (int f = begin; f < end; f++) {
        affine_factor(factor, numbers, d, f);
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++) before[i][j] = m[i][j];
        affine_product(m, before, 0, factor, 0);
    }
}
/* v(p) = m (p - c) + t - (p - c), c the centre. */
AFFINE_MAP void affine_map(affine_matrix m, double t[3], const float *numbers, int d) {
    affine_factors_of(m, numbers, d, 0, affine_factors(d));
    for (int i = 0; i < d; i++) t[i] = (double)numbers[affine_turns(d) + d + i];
}

/* Gradient of the numbers from that of the factor. */
AFFINE_MAP void affine_factor_grad(float *dnumbers, const affine_matrix dm, const float *numbers, int d, int factor) {
    const double pi = 3.14159265358979323846;
    const int scales = affine_turns(d), shears = scales + 2 * d;
    if (factor == 0) {
        int k = shears;
        for (int i = 0; i < d; i++)
            for (int j = 0; j < d; j++) {
                if (i == j) continue;
                const double slant = tan(affine_clamped(numbers[k]) * (pi / 18));
                dnumbers[k] = (float)(dm[i][j] * (1 + slant * slant) * (pi / 18) * affine_passes(numbers[k]));
                k++;
            }
    } else if (factor == 1) {
        for (int i = 0; i < d; i++) dnumbers[scales + i] = (float)(dm[i][i] / 4 * affine_passes(numbers[scales + i]));
    } else {
        const struct affine_turn turn = affine_turn_at(d, factor - 2);
        const float number = numbers[turn.number];
        const double angle = affine_clamped(number) * (pi / 9), along = dm[turn.j][turn.i] - dm[turn.i][turn.j];
        const double across = dm[turn.i][turn.i] + dm[turn.j][turn.j];
        dnumbers[turn.number] = (float)((cos(angle) * along - sin(angle) * across) * (pi / 9) * affine_passes(number));
    }
}
/* From sums over pixels: dm[i][j] of dv_i (p - c)_j, dt[i] of dv_i. */
AFFINE_MAP void affine_map_grad(float *dnumbers, const affine_matrix dm, const double dt[3], const float *numbers, int d) {
    affine_matrix before, behind, half, of_factor;
    for (int f = 0; f < affine_factors(d); f++) {
        affine_factors_of(before, numbers, d, 0, f);
        affine_factors_of(behind, numbers, d, f + 1, affine_factors(d));
        affine_product(half, before, 1, dm, 0);
        affine_product(of_factor, half, 0, behind, 1);
        affine_factor_grad(dnumbers, of_factor, numbers, d, f);
    }
    for (int i = 0; i < d; i++) dnumbers[affine_turns(d) + d + i] = (float)dt[i];
}

#endif
