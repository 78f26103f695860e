/* Eigenvalues and eigenvectors of symmetric matrices. */
#ifndef FI_MATH_EIGEN_H
#define FI_MATH_EIGEN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * a = sum_i values[i] v_i v_i', for symmetric a [n, n]; both triangles are read and a is overwritten. `vectors` [n, n]
 * receives v_i as row i, orthonormal, in no particular order; work is [2 * n]. Returns false where the iteration does
 * not converge, which means that a holds NaN or infinities. About 9 n^3 operations.
 *
 * Method: Householder reduction to tridiagonal form, then QR with implicit Wilkinson shifts (Golub & Van Loan, Matrix
 * Computations, 4th ed., sections 8.3.1 and 8.3.3). Eigenvalues are exact to a few ulp of the largest.
 */
bool fi_eigen_symmetric(size_t n, double *a, double *values, double *vectors, double *work);

#endif
