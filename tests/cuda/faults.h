/* Names of the kernels of faults.cu's broken copies, beside the right ones.  Included before cuda/kernels.h by the copies, and by the
 * rows of operations.c that are to play them. */
#ifndef COVER_TEST_FAULTS_H
#define COVER_TEST_FAULTS_H

#define cuda_norm_workspace faulty_norm_workspace
#define cuda_norm_act faulty_norm_act
#define cuda_norm_grad_workspace faulty_norm_grad_workspace
#define cuda_norm_grad faulty_norm_grad
#define cuda_loss_workspace faulty_loss_workspace
#define cuda_vector_loss faulty_vector_loss
#define cuda_vector_loss_grad faulty_vector_loss_grad
#define cuda_cosine_loss faulty_cosine_loss
#define cuda_cosine_loss_grad faulty_cosine_loss_grad
#define cuda_upsample faulty_upsample
#define cuda_upsample_grad faulty_upsample_grad
#define cuda_resize_corners faulty_resize_corners
#define cuda_resize_corners_grad faulty_resize_corners_grad
#define cuda_max_pool2 faulty_max_pool2
#define cuda_max_pool2_grad faulty_max_pool2_grad
#define cuda_global_pool_workspace faulty_global_pool_workspace
#define cuda_global_pool faulty_global_pool
#define cuda_global_pool_grad faulty_global_pool_grad
#define cuda_add_bias faulty_add_bias

#endif
