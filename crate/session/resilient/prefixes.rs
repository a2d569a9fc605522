//! What was read before, whatever computes.

use super::super::prefixes::not_kept;
use super::{Device, Host, ResilientSession, on};
use crate::engine::Key;
use crate::error::{Code, Error, Result};
use crate::text::template::Message;

impl<H: Host> ResilientSession<H> {
    pub(super) async fn open_prefixes(&mut self) {
        let Some(device) = &mut self.device else { return };
        let Some(weights) = self.host.weights() else { return };
        let page_bytes = on!(device, session => session.engine().page_bytes());
        match self.host.prefixes(weights, page_bytes).await {
            Ok(Some(prefixes)) => on!(device, session => session.set_prefixes(prefixes)),
            Ok(None) => {}
            Err(error) => self.note(not_kept(&error)),
        }
    }

    /// What was read of a conversation, as bytes, see [`Session::export`].
    ///
    /// # Errors
    /// As there; `bad-option` where nothing tells the weights from others.
    pub async fn export(&mut self, messages: &[Message]) -> Result<Vec<u8>> {
        self.device().await?;
        let weights = self.told_weights()?;
        on!(self.device().await?, session => session.export(messages, weights).await)
    }

    /// Takes up what was read of a conversation, see [`Session::import`].
    ///
    /// # Errors
    /// As there; `bad-option` where nothing tells the weights from others.
    pub async fn import(&mut self, bytes: &[u8]) -> Result<usize> {
        self.device().await?;
        let weights = self.told_weights()?;
        on!(self.device().await?, session => session.import(bytes, &weights).await)
    }

    fn told_weights(&self) -> Result<Key> {
        self.host.weights().ok_or_else(|| {
            Error::new(Code::BadOption, "nothing tells this model from others, as it is not kept")
                .advise("load it with storage")
        })
    }
}
