/*
 * Every function of OpenSSL that the addon calls, as a weak reference to what the node executable exports. Where one is
 * missing, since that node was built with another library or hides its own, the addon loads all the same and speaks no TLS.
 */
#ifndef CASTOR_TLS_SYMBOLS_H
#define CASTOR_TLS_SYMBOLS_H

#include <stdbool.h>

#define TLS_SYMBOLS(X) \
  X(BIO_clear_flags) X(BIO_ctrl) X(BIO_free) X(BIO_get_data) X(BIO_meth_free) X(BIO_meth_new) X(BIO_meth_set_ctrl) \
  X(BIO_meth_set_read_ex) X(BIO_meth_set_write_ex) X(BIO_new) X(BIO_new_mem_buf) X(BIO_s_mem) X(BIO_set_data) \
  X(BIO_set_flags) X(BIO_set_init) X(BIO_write) X(ERR_clear_error) X(ERR_get_error) X(ERR_peek_last_error) \
  X(ERR_reason_error_string) X(EVP_CIPHER_fetch) X(EVP_CIPHER_free) X(EVP_CIPHER_get_iv_length) X(EVP_CipherInit_ex) \
  X(EVP_Digest) X(EVP_MAC_CTX_set_params) X(EVP_PKEY_free) X(EVP_sha256) X(OPENSSL_cleanse) X(OPENSSL_sk_new_null) \
  X(OPENSSL_sk_pop_free) X(OPENSSL_sk_push) X(OSSL_PARAM_construct_end) X(OSSL_PARAM_construct_octet_string) \
  X(OSSL_PARAM_construct_utf8_string) X(OpenSSL_version_num) X(PEM_read_bio_PrivateKey) X(PEM_read_bio_X509_AUX) \
  X(RAND_bytes) X(SSL_CIPHER_get_name) X(SSL_CTX_callback_ctrl) X(SSL_CTX_ctrl) X(SSL_CTX_free) \
  X(SSL_CTX_get_ex_data) X(SSL_CTX_new) X(SSL_CTX_sess_set_new_cb) X(SSL_CTX_set1_cert_store) \
  X(SSL_CTX_set_alpn_protos) X(SSL_CTX_set_alpn_select_cb) X(SSL_CTX_set_cipher_list) X(SSL_CTX_set_ciphersuites) \
  X(SSL_CTX_set_client_CA_list) X(SSL_CTX_set_ex_data) X(SSL_CTX_set_num_tickets) X(SSL_CTX_set_options) \
  X(SSL_CTX_set_session_id_context) X(SSL_CTX_set_tlsext_ticket_key_evp_cb) X(SSL_CTX_set_verify) \
  X(SSL_CTX_set_verify_depth) X(SSL_CTX_use_PrivateKey) X(SSL_CTX_use_certificate) X(SSL_SESSION_free) \
  X(SSL_SESSION_is_resumable) X(SSL_ctrl) X(SSL_do_handshake) X(SSL_dup_CA_list) X(SSL_free) \
  X(SSL_get0_alpn_selected) X(SSL_get0_param) X(SSL_get1_peer_certificate) X(SSL_get_SSL_CTX) \
  X(SSL_get_current_cipher) X(SSL_get_error) X(SSL_get_ex_data) X(SSL_get_servername) X(SSL_get_verify_result) \
  X(SSL_get_version) X(SSL_has_pending) X(SSL_new) X(SSL_read_ex) X(SSL_session_reused) X(SSL_set_SSL_CTX) \
  X(SSL_set_accept_state) X(SSL_set_bio) X(SSL_set_connect_state) X(SSL_set_ex_data) X(SSL_set_session) \
  X(SSL_set_shutdown) X(SSL_shutdown) X(SSL_version) X(SSL_write_ex) X(TLS_client_method) X(TLS_server_method) X(X509_NAME_dup) \
  X(X509_NAME_free) X(X509_NAME_print_ex) X(X509_STORE_add_cert) X(X509_STORE_free) X(X509_STORE_new) \
  X(X509_STORE_set_flags) X(X509_STORE_up_ref) X(X509_VERIFY_PARAM_set1_host) X(X509_VERIFY_PARAM_set1_ip_asc) \
  X(X509_VERIFY_PARAM_set_hostflags) X(X509_check_private_key) X(X509_digest) X(X509_free) X(X509_get_subject_name) \
  X(X509_verify_cert_error_string)

#define TLS_PRAGMA(text) _Pragma(#text)
#define TLS_WEAK(name) TLS_PRAGMA(weak name)
TLS_SYMBOLS(TLS_WEAK)

/* All of them are there, and of OpenSSL 3 or later. */
bool tls_available(void);

#endif
